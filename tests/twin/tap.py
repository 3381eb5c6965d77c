"""A look at the bytes of a connection before the server gets them: are the client's WebSocket frames what RFC 6455
asks of a client, and what the wire facts ask of media? The server's own parser is too kind to tell."""

import asyncio
from collections.abc import Callable
from typing import cast

_FIN, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_CONTINUATION = 0


class ClientFrames:
    """Frame headers, whatever the pieces in which they come."""

    def __init__(self, print_errors: Callable[[str], None]) -> None:
        self._complain = print_errors
        self._buffer = bytearray()
        self._key: bytes | None = None

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while (size := self._frame()) is not None:
            del self._buffer[:size]

    def _frame(self) -> int | None:
        """The size of the frame in front, looked at; None while it is not whole."""
        if len(self._buffer) < 2:
            return None
        first, second = self._buffer[:2]
        at = {126: 4, 127: 10}.get(second & 0x7F, 2)
        masked = bool(second & _MASKED)
        if len(self._buffer) < at + 4 * masked:
            return None
        length = int.from_bytes(self._buffer[2:at], "big") if at > 2 else second & 0x7F
        size = at + 4 * masked + length
        if len(self._buffer) < size:
            return None
        self._judge(first, bytes(self._buffer[at : at + 4]) if masked else None)
        return size

    def _judge(self, first: int, key: bytes | None) -> None:
        if key is None:
            self._complain("WebSocket: an unmasked frame")
        elif key == self._key:
            self._complain("WebSocket: a masking key used twice running")
        if first & _RESERVED:
            self._complain("WebSocket: reserved bits without an extension")
        if not first & _FIN or first & 0x0F == _CONTINUATION:
            self._complain("WebSocket: a message in fragments")
        self._key = key


class Tap(asyncio.Protocol):
    """Stands between a transport and its protocol, and passes everything on."""

    def __init__(self, inner: asyncio.Protocol, forget: Callable[["Tap"], None]) -> None:
        self._inner = inner
        self._forget = forget
        self.transport: asyncio.Transport | None = None
        self.frames: ClientFrames | None = None  # from the upgrade on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._inner.connection_made(transport)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.frames is not None:
            self.frames.feed(data)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget(self)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
