"""Keeps what is known of the latest streams that are over, for the operator who has to explain a call."""

from collections import deque
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from mediaserver.call import Session
from mediaserver.call.problems import Failures, Problem, find_problems
from mediaserver.support.timestamps import utc_timestamp

MOST = 500  # the number of streams that are kept; older ones are forgotten


class EndedStream(NamedTuple):
    """One stream that is over. `number` counts the streams that have ended, from 1 on."""

    number: int
    facts: Mapping[str, Any]  # what `GET /v1/streams/{id}` had of the stream, at its end
    calls: Set[str]  # the names of the stream's call
    paths: Set[str]  # the path of the stream's URL, and the configured path that it matches
    failures: Failures  # of which some come later: events that cannot be delivered
    history: Mapping[str, Any]  # its levels and impairments, which are long

    @property
    def problems(self) -> Sequence[Problem]:
        """What was bad about the stream."""
        return find_problems({**self.facts, **self.history}, self.failures)

    def describe(self) -> dict[str, Any]:
        """The description of the stream for JSON, with what was bad about it, but without its history."""
        return {**self.facts, "problems": [problem._asdict() for problem in self.problems]}


class EndedStreams:
    """The latest streams that are over."""

    def __init__(self, most: int = MOST) -> None:
        self._ended: deque[EndedStream] = deque(maxlen=most)
        self._by_id: dict[str, EndedStream] = {}
        self._number = 0

    def newest_first(self) -> list[EndedStream]:
        """The streams, that which ended last first."""
        return [*reversed(self._ended)]

    def add(self, session: Session, summary: Mapping[str, Any], calls: Set[str]) -> None:
        """Keep a stream, which has just ended, by its summary and the names of its call."""
        stream = session.stream
        self._number += 1
        facts = {
            "id": stream.id,
            "direction": "out" if stream.resource else "in",
            "label": stream.label,
            "ended": utc_timestamp(),
            **summary,
            "variables": dict(stream.variables),
            "played": [sound._asdict() for sound in session.operator.played],
        }
        if len(self._ended) == self._ended.maxlen:
            self._by_id.pop(self._ended[0].facts["id"], None)
        paths, history = {stream.path, stream.route}, session.operator.history
        self._ended.append(EndedStream(self._number, facts, calls, paths, session.failures, history))
        self._by_id[stream.id] = self._ended[-1]

    def get(self, stream_id: str) -> EndedStream | None:
        """The stream with an id; None if there was none, or it is forgotten."""
        return self._by_id.get(stream_id)
