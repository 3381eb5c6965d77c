"""A stream while it lasts: its handler's work, its end, and its connection, or one after another."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import structlog

from mediaserver.playout.library import PromptLibrary
from mediaserver.playout.pacer import Pacer
from mediaserver.playout.slow_peer import Transport
from mediaserver.session.hearing import Hearing
from mediaserver.session.outbox import Nobody, Outbox
from mediaserver.session.stream import Clock, CloseCode, End, EndReason, Stream
from mediaserver.session.talk import Talk
from mediaserver.speech.service import Speech
from mediaserver.wire.encapsulation import Wire

log = structlog.get_logger()


class Session(Talk):
    """A stream while it lasts. A handler plays, listens and returns; then the stream is closed.

    A stream that we dialled may lose its connection and get another: the handler notices nothing but the time.
    """

    def __init__(
        self,
        stream: Stream,
        wire: Wire,
        library: PromptLibrary,
        pacer: Pacer,
        clock: Clock = time.monotonic,
        outbox: Outbox | None = None,
        speech: Speech | None = None,
    ) -> None:
        hearing = Hearing(wire, clock, self._listener_failed)
        super().__init__(stream, library, pacer, hearing, clock, outbox or Nobody(), speech or Speech())
        self.end: End | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # done when `end` is known
        self.connected = True  # one that we dial is not always
        self.texts = 0  # messages that were text, which is never media
        self.reconnects = 0
        self.lost = 0  # frames sent that are not known to have arrived when a connection broke
        self._started = clock()
        self._task: asyncio.Task[None] | None = None

    def close(self, code: int = CloseCode.NORMAL, text: str = "") -> None:
        """End the stream now, with a close code."""
        self.finish(End(EndReason.FINISHED, code, text))

    async def run(self, work: Coroutine[Any, Any, None]) -> End:
        """Start the playout and do a handler's work in this task, until it is done or the session is finished.

        A handler's own failure is raised after the playout has stopped, with `end` set.
        """
        try:
            if self.end is not None:  # over before it began
                work.close()
                return self.end
            self._task = asyncio.current_task()
            self._pacer.start()  # what a handler plays before it first awaits is heard from the first tick on
            await work
        except asyncio.CancelledError as error:
            if self.end is None and self._task is not None and not self._task.cancelling():
                self.end = End(EndReason.ERROR, CloseCode.INTERNAL_ERROR)
                raise RuntimeError("the handler was cancelled, though nobody ended its stream") from error
            self.end = self.end or End(EndReason.DRAINED, CloseCode.GOING_AWAY)
        except Exception:
            self.end = self.end or End(EndReason.ERROR, CloseCode.INTERNAL_ERROR)
            raise
        finally:
            self._task = None
            self._pacer.stop()
            self.hearing.close()
            self.end = self.end or End(EndReason.FINISHED, CloseCode.NORMAL)
            if not self.over.done():
                self.over.set_result(None)
        return self.end

    def finish(self, end: End) -> None:
        """End the stream; the first reason given stands."""
        if self.end is None:
            self.end = end
            self.over.set_result(None)
            asyncio.get_running_loop().call_soon(self._cancel)

    def _listener_failed(self, error: Exception) -> None:
        stream = self.stream
        log.error("handler failed: it cannot listen", stream=stream.id, path=stream.path, exc_info=error)
        self.finish(End(EndReason.ERROR, CloseCode.INTERNAL_ERROR, "the handler failed"))

    def _cancel(self) -> None:
        """Not at once: a handler that closes its stream as the last thing it does must not be cancelled after."""
        if self._task is not None:
            self._task.cancel()

    def texted(self) -> None:
        """Take in a text message: it is never media, and nothing here understands it."""
        self.texts += 1

    def receive(self, data: bytes) -> None:
        """Take in a binary message. Without a listener it is looked at only as far as `auto` needs."""
        self._pacer.observe(data)
        self.hearing.receive(data)

    def connect(self, wire: Wire, transport: Transport) -> None:
        """There is a connection, the first or another: the peer is heard, and hears from `run` or `resume` on."""
        self.connected = True
        self.hearing.use(wire)
        self._pacer.connect(wire, transport)

    def resume(self) -> None:
        """Go on speaking, from where the connection before broke."""
        self.reconnects += 1
        self._pacer.start()

    def disconnect(self) -> None:
        """The connection is gone: playout keeps its place."""
        self.connected = False
        self._pacer.pause()
        self.hearing.pause()

    @property
    def frames(self) -> int:
        """Frames sent so far."""
        return self._pacer.frames

    def summary(self) -> dict[str, Any]:
        """What there is to say of the stream in one line of a log."""
        pacer, hearing, wire = self._pacer, self.hearing, self.hearing.wire
        return {
            "path": self.stream.path,
            "peer": self.stream.peer,
            "wire": f"{wire.settings.encapsulation}/{wire.framing}",
            "frames": pacer.frames,
            "duration_s": round(self._clock() - self._started, 3),
            "late": pacer.late,
            "skipped": pacer.skipped,
            "underruns": pacer.underruns,
            "stalls": pacer.stalls,
            "received": hearing.received,
            "malformed": hearing.malformed,
            "texts": self.texts,
            "dropped": hearing.dropped,
            "reason": str(self.end.reason) if self.end else None,
            "code": self.end.code if self.end else None,
            **({"why": self.end.text} if self.end and self.end.text else {}),
            **({"call": self.stream.call} if self.stream.call else {}),
        } | (
            {"resource": self.stream.resource, "reconnects": self.reconnects, "lost": self.lost}
            if self.stream.resource
            else {}
        )
