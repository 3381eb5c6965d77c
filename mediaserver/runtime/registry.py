"""The registry of streams in progress. It admits streams within limits, counts them, and drains them.

To drain the streams is to wait at shutdown until they have ended.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

import structlog

from mediaserver.call import CloseCode, End, EndReason, EventSink, InboundProblem, Session
from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.routing.route import Route
from mediaserver.runtime.ended_streams import EndedStreams
from mediaserver.support.metrics import Metrics
from mediaserver.support.timers import Timer, Timers

# If a peer drops its connection before more frames than this were sent (one second of audio), the peer may not
# understand the framing.
_MISFRAMED_FRAMES = 50

# The reasons for a stream's end that are the fault of the stream's peer.
_FAULTS = {
    EndReason.STALLED,
    EndReason.UNANSWERED,
    EndReason.FLOOD,
    EndReason.OVERSIZE,
    EndReason.PROTOCOL_ERROR,
}

# The fault of an application to which calls are bridged: it does not answer when its connection is closed.
_UNANSWERED_CLOSE = "unanswered-close"

log = structlog.get_logger()


class _Entry(NamedTuple):
    session: Session
    number: int  # the number of streams that had begun up to and including this stream
    path: str  # the pattern of the stream's route
    peer: str  # the address or network that counts as one peer; "" for a stream that the server dialled
    timer: Timer | None  # the timer that ends the stream at its time limit; None for no limit
    reserved: str = ""  # the pattern of a route on which a place is kept for the stream; "" for none


class StreamRegistry:
    """All streams in progress of one server, dialled by peers or by the server."""

    limits: ServerSettings

    def __init__(self, metrics: Metrics, event_sink: EventSink) -> None:
        for kind in (*_FAULTS, "text", _UNANSWERED_CLOSE, "slow-handshake", "malformed-request"):
            metrics.peer_faults.labels(kind)
        for problem in InboundProblem:
            metrics.inbound_problems.labels(problem)
        self._metrics, self._event_sink = metrics, event_sink
        self.ended = EndedStreams()
        self._time_limits = Timers()
        self._entries: dict[str, _Entry] = {}
        self._begun = 0  # the number of streams that have begun so far
        # For each path, the number of streams in progress and of places kept.
        self._by_path: Counter[str] = Counter()
        self._by_peer: Counter[str] = Counter()  # the number of streams in progress for each peer
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False
        self.closed_by_drain = 0  # the number of streams that `drain` closed, because they did not end in time

    def apply_limits(self, limits: ServerSettings, routes: Iterable[Route]) -> None:
        """Apply limits to streams that begin from now on, and start the metrics of the routes' paths at 0."""
        self.limits = limits
        for route in routes:  # Prometheus' `rate` would miss the first stream of a counter that starts at 1
            self._metrics.started.labels(route.pattern)
            self._metrics.ended.labels(route.pattern, EndReason.ERROR)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Session]:
        return iter([entry.session for entry in self._entries.values()])

    @property
    def ids(self) -> Set[str]:
        """The ids of all streams in progress."""
        return self._entries.keys()

    def begun_after(self, number: int, most: int | None = None) -> list[Session]:
        """The streams in progress that began after the stream with this number, the oldest `most` of them."""
        newest_first = takewhile(lambda entry: entry.number > number, reversed(self._entries.values()))
        return [entry.session for entry in newest_first][::-1][:most]

    def get(self, stream_id: str) -> Session | None:
        """The session of a stream in progress; None if there is no such stream."""
        entry = self._entries.get(stream_id)
        return entry.session if entry is not None else None

    def number_of(self, session: Session) -> int:
        """The number of a stream, from 1 on, in the order in which the server's streams began."""
        return self._entries[session.stream.id].number

    def count_on_path(self, pattern: str) -> int:
        """The number of streams on the path with this pattern: those in progress, and those with a kept place."""
        return self._by_path[pattern]

    def of_call(self, name: str) -> list[Session]:
        """The streams of a call. `name` is the platform's id of the call, alone, or in the form `calls/<id>`."""
        return [session for session in self if name in _call_names(session)]

    def named(self, name: str) -> list[Session]:
        """The streams whose label is `name`, or whose call's id is `name`, alone or in the form `calls/<id>`."""
        return [session for session in self if name == session.stream.label or name in _call_names(session)]

    def admit(self, route: Route, peer: str = "") -> None:
        """Check that one more stream may begin on a route, and from a peer.

        RefusedError 503 if a limit is reached, or if the server is shutting down.
        """
        limits = self.limits
        if self.draining:
            raise RefusedError(RefusalReason.DRAINING, "shutting down: try again later")
        if len(self) >= limits.max_streams:
            raise RefusedError(RefusalReason.FULL, f"full: {_streams(len(self))} playing, try again later")
        self._require_room_on(route)
        if peer and self._by_peer[peer] >= limits.max_streams_per_peer:
            text = f"full: {_streams(limits.max_streams_per_peer)} playing to your address, try again later"
            raise RefusedError(RefusalReason.PEER_FULL, text)

    def _require_room_on(self, route: Route) -> None:
        """Check that a route has room for one more stream; RefusedError 503 if the route's limit is reached."""
        if self._by_path[route.pattern] >= route.max_streams:
            text = f"full: {_streams(route.max_streams)} playing on this path, try again later"
            raise RefusedError(RefusalReason.PATH_FULL, text)

    def register(self, session: Session, route: Route, peer: str = "") -> None:
        """Add a stream, and start its time limit. `peer` is the peer's address or network.

        `peer` is "" for a stream that the server has dialled.
        """
        self._begun += 1
        timer = self._time_limit(session, route)
        self._entries[session.stream.id] = _Entry(session, self._begun, route.pattern, peer, timer)
        self._by_path[route.pattern] += 1
        self._by_peer[peer] += 1
        self._idle.clear()
        self._metrics.sessions.labels(route.pattern).inc()
        self._metrics.started.labels(route.pattern).inc()
        stream = session.stream
        log.debug("stream started", stream=stream.id, path=stream.path, peer=stream.peer)

    def reserve(self, session: Session, route: Route) -> None:
        """Keep a place on another route for a stream, until `move` is called or the stream ends.

        Until then, the stream counts on both routes, because its first route's handler still runs. RefusedError
        503 if the other route's limit of streams is reached.
        """
        entry = self._entries[session.stream.id]
        if route.pattern != entry.path:
            self._require_room_on(route)
            self._by_path[route.pattern] += 1
            self._entries[session.stream.id] = entry._replace(reserved=route.pattern)

    def move(self, session: Session, route: Route) -> None:
        """Count a stream on the route on which `reserve` kept a place for it, and begin that route's time limit.

        The metric of started streams counts the stream on its first route, that of ended streams on its last.
        """
        entry = self._entries[session.stream.id]
        if entry.timer is not None:
            entry.timer.cancel()
        timer = self._time_limit(session, route)
        self._entries[session.stream.id] = entry._replace(path=route.pattern, timer=timer, reserved="")
        if entry.reserved:
            _count_down(self._by_path, entry.path)
        self._metrics.sessions.labels(entry.path).dec()
        self._metrics.sessions.labels(route.pattern).inc()

    def unregister(self, session: Session) -> None:
        """Remove a stream that has ended: count it, log its summary, and emit its last event."""
        entry = self._entries.pop(session.stream.id)
        if entry.timer is not None:
            entry.timer.cancel()
        _count_down(self._by_path, entry.path)
        if entry.reserved:
            _count_down(self._by_path, entry.reserved)
        _count_down(self._by_peer, entry.peer)
        if not self._entries:
            self._idle.set()
        summary = session.summary()
        metrics = self._metrics
        metrics.sessions.labels(entry.path).dec()
        metrics.ended.labels(entry.path, summary["reason"]).inc()
        metrics.stalls.inc(summary["stalls"])
        self._count_faults(summary)
        metrics.peer_faults.labels(_UNANSWERED_CLOSE).inc(session.closings.unanswered)
        metrics.underruns.inc(summary["underruns"])
        metrics.malformed.inc(summary["malformed"])
        metrics.reconnects.inc(session.reconnects)
        metrics.lost.inc(session.lost)
        log.info("stream ended", stream=session.stream.id, **summary)
        session.call.notify(EventKind.STREAM_ENDED, summary)
        self.ended.add(session, summary, _call_names(session))
        self._event_sink.forget(session.stream)
        misframed = summary["reason"] == EndReason.PEER_VANISHED and 0 < session.frames <= _MISFRAMED_FRAMES
        # Only streams that the server dialled have a resource. For them, the code that dialled logs other advice.
        if misframed and not session.stream.resource:
            log.warning(
                "peer dropped stream after first frames",
                stream=session.stream.id,
                sent=summary["wire"],
                hint="is the framing what it expects? try framing = message (or pcm) for audiosocket, "
                "another rtp_payload for rtp",
            )

    def note_failure(self, stream_id: str, kind: str, why: str) -> None:
        """Remember that something failed for a stream, which may be over: an event could not be delivered."""
        found = self.get(stream_id) or self.ended.get(stream_id)
        if found is not None:
            found.failures.add(kind, why)

    def _count_faults(self, summary: Mapping[str, Any]) -> None:
        """Count, in the metrics, the faults of a stream's peer that the stream's summary lists, by kind."""
        faults = self._metrics.peer_faults
        if summary["reason"] in _FAULTS:
            faults.labels(summary["reason"]).inc()
        faults.labels("text").inc(summary["texts"])

    async def drain(self, timeout: float, grace: float) -> bool:
        """Admit no more streams, and wait up to `timeout` seconds for streams in progress to end.

        Streams that have not ended by then are closed with the code "going away", and get `grace` more seconds.
        Returns False if some stream has not ended even then, because its handler still runs.
        """
        self.draining = True
        log.info("draining", streams=len(self), timeout_s=timeout)
        self.closed_by_drain = 0
        going_away = End(EndReason.DRAINED, CloseCode.GOING_AWAY, "server is shutting down")
        for session in self:
            if not session.connected and not session.frames:  # the server is still dialling this stream
                session.finish(going_away)
        if not await self._wait_until_idle(timeout):
            self.closed_by_drain = len(self)
            for session in self:
                session.finish(going_away)
        return await self._wait_until_idle(grace)

    def _time_limit(self, session: Session, route: Route) -> Timer | None:
        """The timer that ends a stream at the time limit of its route; None without a limit."""
        if not route.time_limit:
            return None
        return self._time_limits.call_later(route.time_limit, session.finish, _end_by(route.time_limit))

    async def _wait_until_idle(self, timeout: float) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


@lru_cache(maxsize=64)
def _end_by(time_limit: float) -> End:
    """How a stream ends that reaches a time limit, given in seconds. All streams of a path share it."""
    return End(EndReason.TIME_LIMIT, CloseCode.POLICY, f"a stream may last {time_limit:g} seconds")


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _call_names(session: Session) -> set[str]:
    """The names of a stream's call: the platform's id of the call, as `<id>` and as `calls/<id>`."""
    stream = session.stream
    return {stream.call, stream.resource, stream.resource.partition("/")[2], stream.event_resource} - {""}


def _streams(count: int) -> str:
    return "1 stream is" if count == 1 else f"{count} streams are"


def describe_stream(session: Session) -> Mapping[str, Any]:
    """The description of a stream in progress that `GET /v1/streams` returns."""
    summary = session.summary()
    del summary["reason"], summary["code"]
    direction = "out" if session.stream.resource else "in"
    label = {"label": session.stream.label} if session.stream.label else {}
    return {"id": session.stream.id, "direction": direction, "connected": session.connected} | label | summary
