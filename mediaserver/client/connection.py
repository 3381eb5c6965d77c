"""A WebSocket that this server dials for a stream. Pings show which frames arrived, and if the peer is alive."""

import asyncio
import contextlib

import structlog

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.client import advice
from mediaserver.transport import connection
from mediaserver.transport.dialled import DialledConnection, OpenWebSocket

# The maximum number of messages that are read per second. The limit is high, because the platform relays without
# pacing: after a stall of the platform's network, all messages that waited arrive at once.
MAX_RATE = 5000
_PING_EVERY = 0.5  # the seconds between pings; frames after the last answered ping may be lost in a break
_PONG_TIMEOUT = 5.0  # the seconds to wait for the answer to a ping, after which the connection counts as dead
_NO_MEDIA = 5.0  # seconds without media on a new connection after which a call that had media counts as over
CALL_OVER = End(EndReason.PEER_CLOSED, CloseCode.NORMAL)

log = structlog.get_logger()


class PlatformConnection(DialledConnection):
    """A WebSocket to the platform.

    Pings show what has arrived: the pong to a ping confirms all frames that were sent before the ping.

    The platform may accept a connection to a call that is over, and send nothing. `had_media` says that an earlier
    connection received audio: the call then counts as over if this connection receives no audio.
    """

    def __init__(self, websocket: OpenWebSocket, had_media: bool = False) -> None:
        super().__init__(websocket)
        self._had_media = had_media
        self._session: Session | None = None
        # The value of `session.frames` at the start of this connection, and at the last answered ping.
        self._first_frame = self._confirmed = 0
        self._opened_at = asyncio.get_running_loop().time()
        self.received_media = False  # whether a binary message has arrived on this connection
        self.answered = False  # whether the peer has answered a ping on this connection

    @property
    def seconds(self) -> float:
        """The time in seconds since the connection was opened."""
        return asyncio.get_running_loop().time() - self._opened_at

    @property
    def frames(self) -> int:
        """The number of frames sent on this connection."""
        return self._session.frames - self._first_frame if self._session is not None else 0

    @property
    def unconfirmed(self) -> int:
        """The number of frames sent on this connection that are not known to have arrived."""
        return self._session.frames - self._confirmed if self._session is not None else 0

    async def read(self, session: Session) -> End:
        """Pass the peer's messages to the session until the connection ends; return how it ended."""
        self._session, self._first_frame, self._confirmed = session, session.frames, session.frames
        tasks = [asyncio.create_task(self._send_pings(session))]
        if self._had_media:
            tasks.append(asyncio.create_task(self._expect_media(session)))

        def receive(data: bytes) -> None:
            self.received_media = True
            session.receive_binary(data)

        try:
            reader = connection.MessageReader(self._websocket, receive, MAX_RATE, self._on_text, self._on_pong)
            return await reader.read()
        finally:
            for task in tasks:
                task.cancel()

    async def close(self, end: End) -> None:
        """Close the connection with the close code of the stream's end."""
        await connection.close(self._websocket, self.transport, end)

    def abort(self) -> None:
        """End the connection at once, unless it is closed."""
        if not self._websocket.closed:
            self.transport.abort()

    async def _send_pings(self, session: Session) -> None:
        """Ping the peer regularly, to confirm frames; abort the connection if a ping is not answered."""
        with contextlib.suppress(ConnectionError):
            while True:
                frames = session.frames
                if not await self._ping(str(frames).encode(), _PONG_TIMEOUT):
                    log.warning("pings not answered", seconds=_PONG_TIMEOUT)
                    self.transport.abort()
                    return
                self._confirmed = frames
                self.answered = True
                await asyncio.sleep(_PING_EVERY)

    def _on_text(self, text: str) -> None:
        if self._session is not None:
            self._session.receive_text(text)
            if self._session.texts == 1:
                log.warning("peer sends text messages", hint=advice.TEXT)

    async def _expect_media(self, session: Session) -> None:
        """End the stream if no binary message arrives within 5 seconds, because the call is then over."""
        await asyncio.sleep(_NO_MEDIA)
        if not self.received_media:
            log.info("no media after reconnect", seconds=_NO_MEDIA)
            session.finish(CALL_OVER)
