"""A WebSocket that this server dials for a stream. Pings show which frames arrived, and if the peer is alive."""

import asyncio

import structlog

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.client import advice
from mediaserver.support.timers import Timers
from mediaserver.transport import connection
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.transport.frame_poller import FramePoller
from mediaserver.transport.keepalive import Keepalive

# The maximum number of messages that are read per second. The limit is high, because the platform relays without
# pacing: after a stall of the platform's network, all messages that waited arrive at once.
MAX_RATE = 5000
_PING_EVERY = 1.0  # the seconds between pings; frames after the last answered ping may be lost in a break
_PONG_TIMEOUT = 5.0  # the seconds to wait for the answer to a ping, after which the connection counts as dead
_NO_MEDIA = 5.0  # seconds without media on a new connection after which a call that had media counts as over
CALL_OVER = End(EndReason.PEER_CLOSED, CloseCode.NORMAL)

log = structlog.get_logger()


class PlatformConnection:
    """A WebSocket to the platform. `poller` polls its frames, and `timers` are those of all connections' pings.

    Pings show what has arrived: the pong to a ping confirms all frames that were sent before the ping.

    The platform may accept a connection to a call that is over, and send nothing. `had_media` says that an earlier
    connection received audio: the call then counts as over if this connection receives no audio.
    """

    def __init__(
        self, websocket: OpenWebSocket, poller: FramePoller[Receiver], timers: Timers, had_media: bool = False
    ) -> None:
        self._websocket, self.transport = websocket, websocket.transport
        self._poller, self._timers, self._had_media = poller, timers, had_media
        self._session: Session | None = None
        self._keepalive: Keepalive | None = None
        # The values of `session.frames` and `session.receiver.received` at the start of this connection.
        self._first_frame = self._first_received = 0
        self._opened_at = asyncio.get_running_loop().time()

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
        if self._session is None or self._keepalive is None:
            return 0
        return self._session.frames - self._keepalive.confirmed

    @property
    def received_media(self) -> bool:
        """Whether a binary message has arrived on this connection."""
        return self._session is not None and self._session.receiver.received > self._first_received

    @property
    def answered(self) -> bool:
        """Whether the peer has answered a ping on this connection."""
        return self._websocket.pongs > 0

    async def read(self, session: Session) -> End:
        """Pass the peer's messages to the session until the connection ends; return how it ended."""
        websocket, timers = self._websocket, self._timers
        self._session, self._first_frame = session, session.frames
        self._first_received = session.receiver.received
        self._keepalive = Keepalive(
            websocket,
            timers,
            first_after=0,
            interval=_PING_EVERY,
            timeout=_PONG_TIMEOUT,
            on_timeout=self._on_pong_timeout,
            progress=lambda: session.frames,
        )
        media_timer = timers.call_later(_NO_MEDIA, self._expect_media, session) if self._had_media else None
        reader = connection.MessageReader(
            websocket, session.receive_binary, MAX_RATE, self._on_text, websocket.on_pong
        )
        websocket.poll_frames(self._poller, session.receiver, session.frame_size)
        try:
            return await reader.read()
        finally:
            websocket.stop_polling()
            self._keepalive.stop()
            if media_timer is not None:
                media_timer.cancel()

    async def close(self, end: End) -> None:
        """Close the connection with the close code of the stream's end."""
        await connection.close(self._websocket, self.transport, end)

    def abort(self) -> None:
        """End the connection at once, unless it is closed."""
        if not self._websocket.closed:
            self.transport.abort()

    def _on_pong_timeout(self) -> None:
        log.warning("pings not answered", seconds=_PONG_TIMEOUT)
        self.transport.abort()

    def _on_text(self, text: str) -> None:
        if self._session is not None:
            self._session.receive_text(text)
            if self._session.texts == 1:
                log.warning("peer sends text messages", hint=advice.TEXT)

    def _expect_media(self, session: Session) -> None:
        """End the stream if no binary message has arrived by now, because the call is then over."""
        if not self.received_media:
            log.info("no media after reconnect", seconds=_NO_MEDIA)
            session.finish(CALL_OVER)
