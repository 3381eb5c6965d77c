"""The simulated Asterisk, which dials AudioSocket over TCP: `tcp://host:port`. It sends a UUID first."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import cast
from uuid import UUID, uuid4

from yarl import URL

from mediaserver.call import CloseCode
from mediaserver.errors import PeerError, error_text
from mediaserver.transport.connection import CLOSE_TIMEOUT
from mediaserver.transport.unread import read_unread
from mediaserver.wire import audiosocket
from mediaserver.wire.audiosocket import Kind, Message
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import PAYLOAD_ENCODINGS, TCP

SCHEME = "tcp"
# The encodings of a frame as Asterisk sends it, a message of kind 0x10, by the codec of Asterisk's channel.
ENCODINGS = {
    codec: replace(encoding, name=TCP.name, header=audiosocket.header(Kind.SLIN, codec.frame_bytes))
    for codec, encoding in PAYLOAD_ENCODINGS.items()
} | {Codec.SLIN: TCP}
_PORTS_HINT = (
    "Ports of AudioSocket are those of [audiosocket] in the server's configuration, which `mediaserver check`"
    " lists, and the media_ports of [flows]"
)
_CONNECT_TIMEOUT = 10.0  # the time limit in seconds for connecting to the server


class AsteriskConnection(asyncio.Protocol):
    """A connection that the simulator dials as Asterisk does.

    `receive` is called with each message from the server and its arrival in monotonic seconds. `over` is set when
    the connection ends. `close_code` is the code that a WebSocket would have: 1000 if the server closed after one
    side had sent the hang-up message, `00 00 00`; 1006 if the connection ended otherwise, or has not ended.
    """

    def __init__(self, receive: Callable[[bytes, float], None], uuid: UUID) -> None:
        self._receive, self._uuid = receive, uuid
        self._parser = audiosocket.StreamParser()
        self._hangup_seen = False  # whether one side has sent the hang-up message
        self._first_bytes = b""  # the first bytes from the server, five at most, which show its protocol
        self._messages = 0
        self.over = asyncio.Event()
        self._gone = asyncio.Event()
        self.close_code = CloseCode.ABNORMAL
        self.made_at = 0.0  # the time at which the connection was made, in monotonic seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the UUID of the call, which is the first message on a connection."""
        self.transport, self.made_at = cast("asyncio.Transport", transport), time.monotonic()
        self.transport.write(audiosocket.serialize(Message(Kind.UUID, self._uuid.bytes)))

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the server into messages, and pass them to `receive`."""
        at = time.monotonic()
        self._first_bytes = self._first_bytes or data[:5]
        for message in self._parser.feed(data):
            self._messages += 1
            if message == audiosocket.HANGUP:
                self._hangup_seen = True
            elif not self._hangup_seen:
                self._receive(message, at)

    def eof_received(self) -> bool:
        """Note that the server has closed its half of the connection, after its last message."""
        if self._hangup_seen:
            self.close_code = CloseCode.NORMAL
        self.over.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone. It was reset, unless the server had closed its half before that."""
        if unread := read_unread(self.transport, exc):
            self.data_received(unread)
            if unread.endswith(audiosocket.HANGUP):  # what we sent after it broke the connection
                self.eof_received()
        self.over.set()
        self._gone.set()

    @property
    def not_audiosocket(self) -> str:
        """Why the server seems not to speak AudioSocket, and what to dial instead; "" if it may speak it."""
        if self._messages:
            return ""
        if self._first_bytes == b"HTTP/":
            return f"what listens there speaks HTTP: dial it by ws://, with a path. {_PORTS_HINT}"
        if self._first_bytes[:2] == b"\x15\x03":  # the server answers with a TLS alert (RFC 8446, section 6)
            return f"what listens there speaks TLS: dial it by wss://, with a path. {_PORTS_HINT}"
        if self._first_bytes:
            return f"what listens there does not speak AudioSocket. {_PORTS_HINT}"
        return f"the server closed the connection without an answer. {_PORTS_HINT}" if self.over.is_set() else ""

    async def hang_up(self) -> None:
        """Send the hang-up message, and wait at most CLOSE_TIMEOUT seconds until the server closes, too."""
        if not self.over.is_set() and not self.transport.is_closing():
            self._hangup_seen = True
            self.transport.write(audiosocket.HANGUP)
            self.transport.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self.over.wait()
        self.transport.abort()
        await self._gone.wait()


async def dial(url: str, receive: Callable[[bytes, float], None]) -> AsteriskConnection:
    """Connect to `tcp://host:port` with a random UUID; PeerError if the URL is invalid, or no server answers."""
    host, port = _parse_address(url)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            _, connection = await loop.create_connection(lambda: AsteriskConnection(receive, uuid4()), host, port)
    except TimeoutError as error:
        raise PeerError(f"cannot connect within {_CONNECT_TIMEOUT:g} s") from error
    except (OSError, UnicodeError) as error:  # UnicodeError is raised for an invalid host name
        raise PeerError(f"cannot connect: {error_text(error)}. {_PORTS_HINT}") from error
    return connection


def is_asterisk_url(url: str) -> bool:
    """Whether a URL has the scheme `tcp`, which stands for AudioSocket over TCP."""
    return url.startswith(f"{SCHEME}://")


def _parse_address(url: str) -> tuple[str, int]:
    try:
        parts = URL(url)
        host, port = parts.host, parts.port
    except ValueError:  # this error is not quoted, because its text may show a password
        raise PeerError("cannot connect: the URL is invalid") from None
    if not host or not port or parts.path not in ("", "/") or parts.query_string or parts.fragment:
        raise PeerError(
            "AudioSocket's URL is a host and a port, as in tcp://127.0.0.1:9000: the port says which path answers"
        )
    return host, port
