"""The admin port's WebSockets that send a table of all streams in progress, and then what changes in it.

A row is described once for all peers, and sent again only when it has changed. So a peer that watches two thousand
streams costs little more than one that watches ten.
"""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from aiohttp import web

from mediaserver.call import Session
from mediaserver.call.problems import find_problems
from mediaserver.runtime.registry import StreamRegistry
from mediaserver.server.admin.live.websockets import (
    SHUTTING_DOWN,
    Close,
    read_until_closed,
    serve_websocket,
    until_first,
)

# What the rows have, in this order. `began` is on the clock of `now`, which each message has.
COLUMNS = (
    *("id", "path", "direction", "peer", "wire", "inbound", "began", "late", "lost", "playing", "call", "label"),
    "problems",
)
_INTERVAL = 1.0  # seconds between two turns of the table
_PER_TURN = 400  # the most streams that are looked at in a turn: more streams take several turns
_AT_A_TIME = 20  # streams that are looked at in one turn of the event loop, which takes 0.1 ms or less

_encode = json.JSONEncoder(separators=(",", ":")).encode


class _Row(NamedTuple):
    facts: tuple[object, ...]
    faults: tuple[int, ...]  # counts that are as before as long as the stream has no other problems
    text: str  # the row as JSON


class Overview:
    """The rows of all streams in progress, kept only while a peer watches."""

    def __init__(self, streams: StreamRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._streams, self._clock = streams, clock
        self._rows: dict[str, _Row] = {}  # by the streams' ids
        self._due: deque[str] = deque()  # the ids of the rows, and of some ended streams, in the order of looks
        self._newest = 0  # the number of the newest stream that has a row
        self._total = 0
        self._delta = ""  # the message about what has changed in the latest turn; "" for no change
        self._turned = asyncio.Event()  # set, and replaced, at the end of each turn
        self._task: asyncio.Task[None] | None = None
        self._peers = 0
        self.turn = 0  # the number of turns since there was a peer

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Keep the rows within a `with` block, for one peer."""
        self._peers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._peers -= 1
            if not self._peers:
                self._task.cancel()
                self._task, self.turn, self._newest = None, 0, 0
                self._rows, self._due = {}, deque()

    async def next_message(self, seen: int) -> str:
        """Wait for a turn after the turn `seen`, and return the message for a peer that has seen that turn.

        This is what has changed, "" for nothing, or all rows for a peer that has missed a turn, or seen none yet.
        """
        while self.turn == seen:
            await self._turned.wait()
        if seen and self.turn == seen + 1:
            return self._delta
        return self._message([row.text for row in self._rows.values()], (), complete=True)

    async def _run(self) -> None:
        """Update the rows, at first those of all streams at once, and then a part of them in each turn."""
        await self._update(None)
        while True:
            await asyncio.sleep(_INTERVAL)
            await self._update(_PER_TURN)

    async def _update(self, most: int | None) -> None:
        """Look at all new streams and at those that are due, `most` in all; end the turn."""
        ended = self._rows.keys() - self._streams.ids
        for stream in ended:
            del self._rows[stream]
        new = self._streams.begun_after(self._newest, most)
        changed: list[str] = []
        for at in range(0, len(new), _AT_A_TIME):
            changed += [self._look(session) for session in new[at : at + _AT_A_TIME]]
            await asyncio.sleep(0)  # lets frames be sent
        if most is not None:
            changed += await self._look_again(most - len(new))
        texts = [text for text in changed if text]
        total = len(self._streams)
        self._delta = self._message(texts, ended) if texts or ended or total != self._total else ""
        self._total = total
        self.turn += 1
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()

    async def _look_again(self, most: int) -> Sequence[str]:
        """Look at `most` of the streams, those first that are due the longest; return what `_look` returns."""
        looked: list[str] = []
        for n in range(1, min(most, len(self._due)) + 1):
            session = self._streams.get(self._due.popleft())
            if session is not None:
                looked.append(self._look(session))
            if not n % _AT_A_TIME:
                await asyncio.sleep(0)  # lets frames be sent
        return looked

    def _look(self, session: Session) -> str:
        """Describe a stream; return its row as JSON, "" if the row is as before, or the stream is over."""
        stream, lost = session.stream.id, session.operator.lost
        row, faults = self._rows.get(stream), _faults(session, lost)
        problems = row.facts[-1] if row is not None and row.faults == faults else _problems(session, faults)
        facts = (*_describe(session, lost), problems)
        if stream not in self._streams.ids:
            return ""
        self._due.append(stream)
        self._newest = max(self._newest, self._streams.number_of(session))
        if row is not None and row.facts == facts:
            return ""
        row = self._rows[stream] = _Row(facts, faults, _encode((stream, *facts)))
        return row.text

    def _message(self, rows: Sequence[str], ended: Collection[str], *, complete: bool = False) -> str:
        head = {"now": round(self._clock(), 1), "total": len(self._streams), "ended": [*ended]}
        return f'{_encode(head | ({"columns": COLUMNS} if complete else {}))[:-1]},"rows":[{",".join(rows)}]}}'


def _describe(session: Session, lost: int) -> tuple[object, ...]:
    """A stream's row, without its id and problems. As long as nothing happens on the stream, it stays the same."""
    stream, wire, operator = session.stream, session.receiver.wire, session.operator
    return (
        stream.path,
        "out" if stream.resource else "in",
        stream.peer,
        wire.name,
        str(wire.inbound.codec),
        round(session.started, 1),
        operator.late,
        lost,
        operator.playing,
        stream.call or stream.resource,
        stream.label,
    )


def _faults(session: Session, lost: int) -> tuple[int, ...]:
    """Counts of what may be a problem of a stream: where they are as before, so are the problems."""
    return (*session.operator.faults, lost, len(session.inbound_problems), session.reconnects, session.texts)


def _problems(session: Session, faults: tuple[int, ...]) -> str:
    """The kinds of a stream's problems, "" for none."""
    if not any(faults):
        return ""
    facts = {**session.summary(), **session.operator.history}
    return ", ".join(problem.kind for problem in find_problems(facts, session.failures))


class OverviewStreams:
    """Sends the table of streams to peers of the admin port."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._overview = Overview(streams)
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Disconnect all peers, as the server is shutting down."""
        self._closed.set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Send a table of all streams by WebSocket: first its `columns` and all rows, then only what changes.

        A change is sent within a second, or within `streams / 400` seconds where there are more. `ended` has the
        ids of streams that are over. A message with `columns`, also a later one, replaces all before it.
        """

        async def serve(socket: web.WebSocketResponse) -> Close:
            with self._overview.watching():
                await until_first(self._send(socket), read_until_closed(socket), self._closed.wait())
            return SHUTTING_DOWN

        return await serve_websocket(request, serve)

    async def _send(self, socket: web.WebSocketResponse) -> None:
        seen = 0
        while True:
            message = await self._overview.next_message(seen)
            seen = self._overview.turn
            if message:
                await socket.send_str(message)
