"""All streams in progress: who is on the line, how many may be, and what is counted when they come and go."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import structlog

from mediaserver.call import CloseCode, End, EndReason, EventSink, InboundProblem, Session
from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.routing.route import Route
from mediaserver.support.metrics import Metrics

_MISFRAMED_FRAMES = 50  # a peer gone within a second of the first frame did not like what it got

_FAULTS = {
    EndReason.STALLED,
    EndReason.UNANSWERED,
    EndReason.FLOOD,
    EndReason.OVERSIZE,
    EndReason.PROTOCOL_ERROR,
}

log = structlog.get_logger()


class _Entry(NamedTuple):
    session: Session
    path: str  # the route's pattern
    peer: str
    timer: asyncio.TimerHandle | None  # of the time limit


class Streams:
    """The streams of one server, those that came and those that we dialled."""

    limits: ServerSettings

    def __init__(self, metrics: Metrics, event_sink: EventSink) -> None:
        for kind in (*_FAULTS, "text", "slow-handshake", "malformed-request"):
            metrics.peer_faults.labels(kind)
        for problem in InboundProblem:
            metrics.inbound_problems.labels(problem)
        self._metrics, self._event_sink = metrics, event_sink
        self._entries: dict[str, _Entry] = {}
        self._on_path: Counter[str] = Counter()
        self._of_peer: Counter[str] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False
        self.cut = 0  # streams that a drain had to close

    def use(self, limits: ServerSettings, routes: Iterable[Route]) -> None:
        """Hold streams to come to other limits, on other paths."""
        self.limits = limits
        for route in routes:  # counted from 0 on, or a rate would not see the first
            self._metrics.started.labels(route.pattern)
            self._metrics.ended.labels(route.pattern, EndReason.ERROR)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Session]:
        return iter([entry.session for entry in self._entries.values()])

    def find(self, stream: str) -> Session | None:
        """The stream of that id, while it lasts."""
        entry = self._entries.get(stream)
        return entry.session if entry is not None else None

    def admit(self, route: Route, peer: str = "") -> None:
        """Whether there can be one more now, on that path, for that peer; RefusedError 503 where there cannot."""
        limits = self.limits
        if self.draining:
            raise RefusedError(RefusalReason.DRAINING, "shutting down: try again later")
        if len(self) >= limits.max_streams:
            raise RefusedError(RefusalReason.FULL, f"full: {_streams(len(self))} playing, try again later")
        if self._on_path[route.pattern] >= route.max_streams:
            text = f"full: {_streams(route.max_streams)} playing on this path, try again later"
            raise RefusedError(RefusalReason.PATH_FULL, text)
        if peer and self._of_peer[peer] >= limits.max_streams_per_peer:
            text = f"full: {_streams(limits.max_streams_per_peer)} playing to your address, try again later"
            raise RefusedError(RefusalReason.PEER_FULL, text)

    def begin(self, session: Session, route: Route, peer: str = "") -> None:
        """A stream begins, to a peer where it came from one."""
        timer = None
        if route.time_limit:
            end = End(EndReason.TIME_LIMIT, CloseCode.POLICY, f"a stream may last {route.time_limit:g} seconds")
            timer = asyncio.get_running_loop().call_later(route.time_limit, session.finish, end)
        self._entries[session.stream.id] = _Entry(session, route.pattern, peer, timer)
        self._on_path[route.pattern] += 1
        self._of_peer[peer] += 1
        self._idle.clear()
        self._metrics.sessions.labels(route.pattern).inc()
        self._metrics.started.labels(route.pattern).inc()
        stream = session.stream
        log.debug("stream started", stream=stream.id, path=stream.path, peer=stream.peer)

    def over(self, session: Session) -> None:
        """A stream is over."""
        entry = self._entries.pop(session.stream.id)
        if entry.timer is not None:
            entry.timer.cancel()
        for counter, key in ((self._on_path, entry.path), (self._of_peer, entry.peer)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        if not self._entries:
            self._idle.set()
        summary = session.summary()
        metrics = self._metrics
        metrics.sessions.labels(entry.path).dec()
        metrics.ended.labels(entry.path, summary["reason"]).inc()
        metrics.stalls.inc(summary["stalls"])
        self._count_faults(summary)
        metrics.underruns.inc(summary["underruns"])
        metrics.malformed.inc(summary["malformed"])
        metrics.reconnects.inc(session.reconnects)
        metrics.lost.inc(session.lost)
        log.info("stream ended", stream=session.stream.id, **summary)
        session.call.notify(EventKind.STREAM_ENDED, summary)
        self._event_sink.forget(session.stream)
        misframed = summary["reason"] == EndReason.PEER_VANISHED and 0 < session.frames <= _MISFRAMED_FRAMES
        if misframed and not session.stream.resource:  # where we dialled, our side says more
            log.warning(
                "the peer dropped the stream within a second of its first frame: is the framing what it expects?",
                stream=session.stream.id,
                sent=summary["wire"],
                hint="try framing = message (or pcm) for audiosocket, another rtp_payload for rtp",
            )

    def _count_faults(self, summary: Mapping[str, Any]) -> None:
        """What a peer did that it must not do, by kind."""
        faults = self._metrics.peer_faults
        if summary["reason"] in _FAULTS:
            faults.labels(summary["reason"]).inc()
        faults.labels("text").inc(summary["texts"])

    async def drain(self, seconds: float, more: float) -> bool:
        """Take no more; let streams end by themselves for so long, then close the rest as going away.

        False where a handler does not let its stream end even in `more` seconds after that.
        """
        self.draining = True
        log.info("draining", streams=len(self), timeout_s=seconds)
        self.cut = 0
        going_away = End(EndReason.DRAINED, CloseCode.GOING_AWAY, "server is shutting down")
        for session in self:
            if not session.connected and not session.frames:  # dialled, and not there yet
                session.finish(going_away)
        if not await self._become_idle(seconds):
            self.cut = len(self)
            for session in self:
                session.finish(going_away)
        return await self._become_idle(more)

    async def _become_idle(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _streams(count: int) -> str:
    return "1 stream is" if count == 1 else f"{count} streams are"


def listing(session: Session) -> Mapping[str, Any]:
    """What there is to say of a stream in progress."""
    summary = session.summary()
    del summary["reason"], summary["code"]
    direction = "out" if session.stream.resource else "in"
    return {"id": session.stream.id, "direction": direction, "connected": session.connected} | summary
