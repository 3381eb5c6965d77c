"""One connection of a stream that we dialled: what came of what we sent, and whether anybody is still there."""

import asyncio
import contextlib

import structlog

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.client import advice
from mediaserver.transport import connection
from mediaserver.transport.dialled import OpenWebSocket

MAX_RATE = 5000  # messages a second: the platform relays unpaced, so a stall of its network comes all at once
_PING_EVERY = 0.5  # seconds; what a break leaves in doubt, as frames that may not have arrived
_PONG_TIMEOUT = 5.0  # seconds without an answer: half-open
_NO_MEDIA = 5.0  # seconds without a message on a new connection that show that a call, heard before, is over
CALL_OVER = End(EndReason.PEER_CLOSED, CloseCode.NORMAL)

log = structlog.get_logger()


class Line:
    """A WebSocket to the platform.

    Pings tell what has arrived: the pong to a ping says that all frames sent before it did.

    The platform may accept a connection to a call that is over, and send nothing. So the call is taken for over
    where an earlier connection had media and this one stays open without any.
    """

    def __init__(self, websocket: OpenWebSocket, had_media: bool = False) -> None:
        self._websocket, self._had_media = websocket, had_media
        self.transport = websocket.transport
        self._session: Session | None = None
        self._began = self._confirmed = 0  # frames
        self._opened_at = asyncio.get_running_loop().time()
        self._pinged, self._ponged = b"", asyncio.Event()
        self.heard = False  # a message of the peer's
        self.answered = False  # a ping

    @property
    def seconds(self) -> float:
        """How long it has been there."""
        return asyncio.get_running_loop().time() - self._opened_at

    @property
    def frames(self) -> int:
        """Frames sent over it."""
        return self._session.frames - self._began if self._session is not None else 0

    @property
    def unconfirmed(self) -> int:
        """Frames sent over it that are not known to have arrived."""
        return self._session.frames - self._confirmed if self._session is not None else 0

    async def read(self, session: Session) -> End:
        """Read to its end."""
        self._session, self._began, self._confirmed = session, session.frames, session.frames
        watching = [asyncio.create_task(self._ping(session))]
        if self._had_media:
            watching.append(asyncio.create_task(self._expect_media(session)))

        def receive(data: bytes) -> None:
            self.heard = True
            session.receive(data)

        try:
            return await connection.Reader(self._websocket, receive, MAX_RATE, self._on_text, self._on_pong).read()
        finally:
            for task in watching:
                task.cancel()

    async def close(self, end: End) -> None:
        """Close it with what the stream ended with."""
        await connection.close(self._websocket, self.transport, end)

    def drop(self) -> None:
        """Let go of it, closed or not."""
        if not self._websocket.closed:
            self.transport.abort()

    async def _ping(self, session: Session) -> None:
        """Ask again and again what has arrived; without an answer, let the connection go."""
        with contextlib.suppress(ConnectionError):
            while True:
                frames = session.frames
                self._pinged = str(frames).encode()
                self._ponged.clear()
                try:
                    async with asyncio.timeout(_PONG_TIMEOUT):
                        await self._websocket.ping(self._pinged)
                        await self._ponged.wait()
                except TimeoutError:
                    log.warning("the peer does not answer pings any more", seconds=_PONG_TIMEOUT)
                    self.transport.abort()
                    return
                self._confirmed = frames
                self.answered = True
                await asyncio.sleep(_PING_EVERY)

    def _on_pong(self, data: bytes) -> None:
        if data == self._pinged:
            self._ponged.set()

    def _on_text(self, text: str) -> None:
        if self._session is not None:
            self._session.receive_text(text)
            if self._session.texts == 1:
                log.warning(advice.TEXT)

    async def _expect_media(self, session: Session) -> None:
        """End the stream where no message comes in time."""
        await asyncio.sleep(_NO_MEDIA)
        if not self.heard:
            log.info("connected again, and no media comes: the call is over", seconds=_NO_MEDIA)
            session.finish(CALL_OVER)
