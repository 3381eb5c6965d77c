"""All streams in progress: who is on the line, how many may be, and what is counted when they come and go."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from mediaserver.metrics import Metrics
from mediaserver.session import CloseCode, End, EndReason, Outbox, Session
from mediaserver.streams.routes import Route

_MISFRAMED_FRAMES = 50  # a peer gone within a second of the first frame did not like what it got

log = structlog.get_logger()


class Streams:
    """The streams of one server, those that came and those that we dialled."""

    def __init__(self, limit: int, metrics: Metrics, outbox: Outbox) -> None:
        self._limit, self._metrics, self._outbox = limit, metrics, outbox
        self._sessions: dict[str, Session] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def find(self, stream: str) -> Session | None:
        """The stream of that id, while it lasts."""
        return self._sessions.get(stream)

    @property
    def refusal(self) -> str:
        """Why there cannot be one more now; nothing where there can."""
        if self.draining:
            return "shutting down: try again later"
        if len(self) >= self._limit:
            return f"full: {self._limit} streams are playing, try again later"
        return ""

    def begin(self, session: Session, route: Route) -> None:
        """A stream begins."""
        self._sessions[session.stream.id] = session
        self._idle.clear()
        self._metrics.sessions.labels(route.pattern).inc()
        self._metrics.started.labels(route.pattern).inc()
        stream = session.stream
        log.debug("stream started", stream=stream.id, path=stream.path, peer=stream.peer)
        if not stream.resource:  # one that we dial has yet to be reached
            session.notify("stream.started", {})

    def over(self, session: Session, route: Route) -> None:
        """A stream is over."""
        self._sessions.pop(session.stream.id, None)
        if not self._sessions:
            self._idle.set()
        summary = session.summary()
        metrics = self._metrics
        metrics.sessions.labels(route.pattern).dec()
        metrics.ended.labels(route.pattern, summary["reason"]).inc()
        metrics.underruns.inc(summary["underruns"])
        metrics.malformed.inc(summary["malformed"])
        metrics.reconnects.inc(session.reconnects)
        metrics.lost.inc(session.lost)
        log.info("stream ended", stream=session.stream.id, **summary)
        session.notify("stream.ended", summary)
        self._outbox.forget(session.stream)
        misframed = summary["reason"] == EndReason.PEER_VANISHED and 0 < session.frames <= _MISFRAMED_FRAMES
        if misframed and not session.stream.resource:  # where we dialled, our side says more
            log.warning(
                "the peer dropped the stream within a second of its first frame: is the framing what it expects?",
                stream=session.stream.id,
                sent=summary["wire"],
                hint="try framing = message (or pcm) for audiosocket, another rtp_payload for rtp",
            )

    async def drain(self, seconds: float, more: float) -> bool:
        """Take no more; let streams end by themselves for so long, then close the rest as going away.

        False where a handler does not let its stream end even in `more` seconds after that.
        """
        self.draining = True
        log.info("draining", streams=len(self), timeout_s=seconds)
        going_away = End(EndReason.DRAINED, CloseCode.GOING_AWAY, "server is shutting down")
        for session in self:
            if not session.connected and not session.frames:  # dialled, and not there yet
                session.finish(going_away)
        if not await self._become_idle(seconds):
            for session in self:
                session.finish(going_away)
        return await self._become_idle(more)

    async def _become_idle(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True


def listing(session: Session) -> Mapping[str, Any]:
    """What there is to say of a stream in progress."""
    summary = session.summary()
    del summary["reason"], summary["code"]
    direction = "out" if session.stream.resource else "in"
    return {"id": session.stream.id, "direction": direction, "connected": session.connected} | summary
