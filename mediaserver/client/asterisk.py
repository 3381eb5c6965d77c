"""Asterisk's side of AudioSocket over TCP: it dials `tcp://host:port`, says its UUID, and takes messages."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import cast
from uuid import UUID, uuid4

from yarl import URL

from mediaserver.call import CloseCode
from mediaserver.errors import PeerError, plainly
from mediaserver.transport.connection import CLOSE_TIMEOUT
from mediaserver.wire import audiosocket
from mediaserver.wire.audiosocket import Kind, Message

SCHEME = "tcp"
PORTS = (
    "Ports of AudioSocket are those of [audiosocket] in the server's configuration: `mediaserver check` lists them"
)
_CONNECT_TIMEOUT = 10.0


class AsteriskConnection(asyncio.Protocol):
    """A connection that we dial as Asterisk does. `receive` is given each message and when it came.

    `over` is set at its end. `close_code` is then what a WebSocket's would be: 1000 where the server closed after
    one side had said `00 00 00`, 1006 where the connection ended in any other way, or did not end.
    """

    def __init__(self, receive: Callable[[bytes, float], None], uuid: UUID) -> None:
        self._receive, self._uuid = receive, uuid
        self._parser = audiosocket.StreamParser()
        self._said_so = False  # one side has said that it is over
        self._first = b""  # bytes of the server's
        self._messages = 0
        self.over = asyncio.Event()
        self._gone = asyncio.Event()
        self.close_code = CloseCode.ABNORMAL
        self.made_at = 0.0  # when the connection was made, monotonic

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there: the UUID comes first."""
        self.transport, self.made_at = cast("asyncio.Transport", transport), time.monotonic()
        self.transport.write(audiosocket.serialize(Message(Kind.UUID, self._uuid.bytes)))

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        at = time.monotonic()
        self._first = self._first or data[:5]
        for message in self._parser.feed(data):
            self._messages += 1
            if message == audiosocket.HANGUP:
                self._said_so = True
            elif not self._said_so:
                self._receive(message, at)

    def eof_received(self) -> bool:
        """The server has closed its half, behind all that it had to say."""
        if self._said_so:
            self.close_code = CloseCode.NORMAL
        self.over.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone; a reset where the server had not closed its half."""
        self.over.set()
        self._gone.set()

    @property
    def mistaken(self) -> str:
        """What listens there, where it is not AudioSocket, and what to dial; "" where it is, or may be."""
        if self._messages:
            return ""
        if self._first == b"HTTP/":
            return f"what listens there speaks HTTP: dial it by ws://host:port/path. {PORTS}"
        if self._first[:2] == b"\x15\x03":  # an alert (RFC 8446, section 6)
            return f"what listens there speaks TLS: dial it by wss://host:port/path. {PORTS}"
        if self._first:
            return f"what listens there does not speak AudioSocket. {PORTS}"
        return f"the server closed the connection without a word. {PORTS}" if self.over.is_set() else ""

    async def hang_up(self) -> None:
        """Say that it is over, and wait until the server has closed as well, for a while."""
        if not self.over.is_set() and not self.transport.is_closing():
            self._said_so = True
            self.transport.write(audiosocket.HANGUP)
            self.transport.write_eof()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), CLOSE_TIMEOUT)
        self.transport.abort()
        await self._gone.wait()


async def dial(url: str, receive: Callable[[bytes, float], None]) -> AsteriskConnection:
    """Connect to `tcp://host:port`, with a random UUID; PeerError where that is no such URL, or nobody answers."""
    host, port = _address(url)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            _, connection = await loop.create_connection(lambda: AsteriskConnection(receive, uuid4()), host, port)
    except TimeoutError as error:
        raise PeerError(f"cannot connect within {_CONNECT_TIMEOUT:g} s") from error
    except (OSError, UnicodeError) as error:  # a host name may be none by its letters
        raise PeerError(f"cannot connect: {plainly(error)}. {PORTS}") from error
    return connection


def is_asterisk_url(url: str) -> bool:
    """Whether a URL is one of AudioSocket over TCP."""
    return url.startswith(f"{SCHEME}://")


def _address(url: str) -> tuple[str, int]:
    try:
        parts = URL(url)
        host, port = parts.host, parts.port
    except ValueError:  # its words would show a password
        raise PeerError("cannot connect: that is no URL") from None
    if not host or not port or parts.path not in ("", "/") or parts.query_string or parts.fragment:
        raise PeerError("AudioSocket's URL is tcp://host:port, and nothing more: the port says which path answers")
    return host, port
