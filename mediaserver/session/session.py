"""One stream with one peer: what a handler sees of a call. Knows no sockets: the shell around it has them."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mediaserver.errors import ProtocolError
from mediaserver.playout.library import PromptLibrary
from mediaserver.playout.pacer import Pacer
from mediaserver.playout.sources import Heard, Playlist, Run, Source
from mediaserver.wire.encapsulation import Wire
from mediaserver.wire.events import Event

MAX_EVENTS = 250  # kept for a listener that lags behind: five seconds of audio
_CLOSE_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame holds 125


class CloseCode:
    """WebSocket close codes (RFC 6455, section 7.4.1) and when we send them."""

    NORMAL = 1000  # the media ended
    GOING_AWAY = 1001  # we shut down
    ABNORMAL = 1006  # never sent: the connection broke without a close
    INTERNAL_ERROR = 1011  # our fault


class EndReason(StrEnum):
    """Why a stream ended."""

    FINISHED = "finished"  # its handler was done
    PEER_CLOSED = "peer-closed"
    PEER_VANISHED = "peer-vanished"  # the connection broke without a close
    PROTOCOL_ERROR = "protocol-error"  # the peer broke the WebSocket protocol
    FLOOD = "flood"  # the peer sent far more than a stream has to say
    STALLED = "stalled"  # the peer took nothing for too long
    DRAINED = "drained"  # we shut down
    ERROR = "error"  # its handler failed


@dataclass(frozen=True, slots=True)
class End:
    """How a stream ended, and the close code to say so with."""

    reason: EndReason
    code: int
    text: str = ""

    @property
    def message(self) -> bytes:
        """The close frame's text, cut to what it may hold."""
        return self.text.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore").encode()


@dataclass(frozen=True, slots=True)
class Stream:
    """What a stream is: names for logs, and what a handler may go by."""

    id: str
    path: str  # as dialled, without its query
    peer: str  # address of the far end
    query: Mapping[str, str] = field(repr=False)  # may hold a token
    variables: Mapping[str, str]  # of the path's pattern


class Session:
    """A stream while it lasts. A handler plays, listens and returns; then the stream is closed."""

    def __init__(
        self,
        stream: Stream,
        wire: Wire,
        library: PromptLibrary,
        pacer: Pacer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self.library = library
        self.end: End | None = None
        self.received = 0  # binary messages from the peer
        self.malformed = 0  # of these, not in the wire format
        self.dropped = 0  # events that a listener was too slow for
        self._wire, self._pacer, self._clock = wire, pacer, clock
        self._started = clock()
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._listener: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    # -- for handlers --------------------------------------------------------------------------------------------

    async def play(self, source: Source | Run | str) -> Heard:
        """Play a source, a run of sound, or a prompt by name, and wait until it is over.

        Returns how much of it was sent; sources played at the same time queue up. Cancelling the call stops the
        source. PromptError where a prompt does not exist.
        """
        if isinstance(source, str):
            source = self.library.get(source)
        if not isinstance(source, Source):
            source = Playlist([source])
        done = self._pacer.play(source)
        try:
            return await done
        except asyncio.CancelledError:
            self._pacer.drop(done)
            raise

    def clear(self) -> None:
        """Stop what plays and what is queued; their players are told how much was heard."""
        self._pacer.clear()

    async def silence(self) -> None:
        """Keep the stream up in silence until the peer, or the server, ends it."""
        await asyncio.get_running_loop().create_future()

    async def events(self) -> AsyncIterator[Event]:
        """What the peer sends, from now on, for one listener at a time.

        At most 250 events wait for it; the oldest give way and are counted.
        """
        if self._listener is not None:
            raise RuntimeError("somebody listens to this stream already")
        self._listener = asyncio.Event()
        try:
            while True:
                while self._events:
                    yield self._events.popleft()
                self._listener.clear()
                await self._listener.wait()
        finally:
            self._listener = None
            self._events.clear()

    def close(self, code: int = CloseCode.NORMAL, text: str = "") -> None:
        """End the stream now, with a close code."""
        self.finish(End(EndReason.FINISHED, code, text))

    # -- for the shell that holds the connection -----------------------------------------------------------------

    async def run(self, work: Coroutine[Any, Any, None]) -> End:
        """Start the playout and do a handler's work in this task, until it is done or the session is finished.

        A handler's own failure is raised after the playout has stopped, with `end` set.
        """
        if self.end is not None:  # over before it began
            work.close()
            return self.end
        self._task = asyncio.current_task()
        self._pacer.start()  # what a handler plays before it first awaits is heard from the first tick on
        try:
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
        self.end = self.end or End(EndReason.FINISHED, CloseCode.NORMAL)
        return self.end

    def finish(self, end: End) -> None:
        """End the stream; the first reason given stands."""
        if self.end is None:
            self.end = end
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        """Not at once: a handler that closes its stream as the last thing it does must not be cancelled after."""
        if self._task is not None:
            self._task.cancel()

    def receive(self, data: bytes) -> None:
        """Take in a binary message. Without a listener it is looked at only as far as `auto` needs."""
        self.received += 1
        self._pacer.observe(data)
        if self._listener is None:
            return
        try:
            events = self._wire.depacketize(data, self._clock())
        except ProtocolError:
            self.malformed += 1
            return
        self.dropped += max(0, len(self._events) + len(events) - MAX_EVENTS)
        self._events.extend(events)
        self._listener.set()

    @property
    def frames(self) -> int:
        """Frames sent so far."""
        return self._pacer.frames

    def summary(self) -> dict[str, Any]:
        """What there is to say of the stream in one line of a log."""
        pacer = self._pacer
        return {
            "path": self.stream.path,
            "peer": self.stream.peer,
            "wire": f"{self._wire.settings.encapsulation}/{self._wire.framing}",
            "frames": pacer.frames,
            "duration_s": round(self._clock() - self._started, 3),
            "late": pacer.late,
            "skipped": pacer.skipped,
            "underruns": pacer.underruns,
            "stalls": pacer.stalls,
            "received": self.received,
            "malformed": self.malformed,
            "dropped": self.dropped,
            "reason": str(self.end.reason) if self.end else None,
            "code": self.end.code if self.end else None,
        }
