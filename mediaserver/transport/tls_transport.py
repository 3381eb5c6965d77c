"""TLS of a connection, whichever side has dialled it, on top of the transport of its TCP connection.

The TLS of uvloop and of asyncio keeps a buffer of 256 KiB for each connection. Once some connections have been
closed, the C library gives them memory that was used before, so that a stream takes 40 KB more than without TLS.
Here it is 17 KB, nearly all of which is OpenSSL's.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from mediaserver.transport.held_writes import HeldWrites
from mediaserver.transport.unread import read_unread

# Bytes that AES-GCM adds to a record: header, nonce and tag (RFC 5288; fewer in RFC 8446). Of the ciphers that add
# more, a read for as many frames takes fewer.
RECORD_OVERHEAD = 29
_RECORD_BYTES = 16 * 1024  # the most bytes that a record holds (RFC 8446, section 5.1)
_SHUTDOWN_TIMEOUT = 1.0  # seconds for the peer to answer close_notify, which ends TLS


def connection_reset() -> ConnectionResetError:
    """The error of a connection that is lost before its handshake is over, with the operating system's text."""
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """The transport of one TLS connection, which is also the protocol of the TCP connection's transport.

    `on_handshake` is called once, when the handshake is over: with None, or with the error that has ended it. The
    error is no SSLError if the connection was lost. After a handshake that succeeds, it must set the protocol.
    Nothing may be written before. The context must not allow renegotiation, because nothing can be written during
    one. What is written is encrypted at once, and sent when `writes` releases it.

    With `server_hostname`, the name of the server that was dialled, this side is the client, and begins the
    handshake.
    """

    __slots__ = (
        "_closing",
        "_incoming",
        "_on_handshake",
        "_outgoing",
        "_protocol",
        "_shutdown_timer",
        "_ssl",
        "_transport",
        "_writes",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        context: ssl.SSLContext,
        on_handshake: Callable[["TlsTransport", OSError | None], None],
        writes: HeldWrites,
        *,
        server_hostname: str | None = None,
    ) -> None:
        self._transport, self._writes = transport, writes
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()  # encrypted bytes from and to the peer
        self._ssl = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
        )
        self._on_handshake: Callable[[TlsTransport, OSError | None], None] | None = on_handshake
        self._protocol: asyncio.Protocol | None = None
        self._closing = False  # whether nothing more is written, and what comes is dropped
        self._shutdown_timer: asyncio.TimerHandle | None = None
        transport.set_protocol(self)
        if server_hostname is not None:
            self._shake_hands()

    # -- the protocol of the TCP connection ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or decrypt the bytes, and pass them to the protocol."""
        self._incoming.write(data)
        if self._on_handshake is None or self._shake_hands():
            self._read()

    def eof_received(self) -> None:
        """Do nothing: the TCP connection's transport then closes itself. TLS knows no half-closed connections."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol that the connection is lost, after what the peer has sent before."""
        if self._on_handshake is None and (unread := read_unread(self._transport, exc)):
            self.data_received(unread)
        self._closing = True
        if self._shutdown_timer is not None:
            self._shutdown_timer.cancel()
        self._end_handshake(connection_reset())
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the protocol that the peer reads too slowly."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Tell the protocol that the peer has read what waited."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def _shake_hands(self) -> bool:
        """Go on with the handshake; return whether it has succeeded."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
        except ssl.SSLError as error:
            self._closing = True
            self.flush()  # the alert that tells the peer why
            self._transport.close()
            self._end_handshake(error)
        else:
            self.flush()
            self._end_handshake(None)
            return True
        return False

    def _end_handshake(self, error: OSError | None) -> None:
        on_handshake, self._on_handshake = self._on_handshake, None
        if on_handshake is not None:
            on_handshake(self, error)

    def _read(self) -> None:
        """Decrypt what has come, and pass it on. What comes after our close_notify is dropped."""
        decrypted, over = self._decrypt()
        if self._closing:
            if over:
                self._transport.close()
            return
        if decrypted and self._protocol is not None:
            self._protocol.data_received(decrypted)
        if over:
            self.close()

    def _decrypt(self) -> tuple[bytes, bool]:
        """Decrypt all complete records; return what they hold, and whether the peer has ended or broken TLS."""
        incoming, decrypted, over = self._incoming, b"", False
        further: list[bytes] = []  # what further records hold: there is mostly one
        try:
            while incoming.pending and not over:
                record = self._ssl.read(_RECORD_BYTES)
                if decrypted:
                    further.append(record)
                else:
                    decrypted = record
                over = not record  # the peer's close_notify
        except ssl.SSLWantReadError:  # the last record is not complete
            pass
        except ssl.SSLError:  # the peer breaks the protocol, or answers our close_notify
            over = True
        if self._outgoing.pending:  # an answer of TLS itself
            self.flush()
        return b"".join((decrypted, *further)) if further else decrypted, over

    # -- the transport of the protocol ---------------------------------------------------------------------------

    def read(self, fd: int, size: int) -> bytes:
        """Read at most `size` bytes from the TCP connection's socket `fd` at once, and decrypt them.

        The event loop must not read meanwhile: see `pause_reading`. Errors are those of a socket: BlockingIOError
        if no record is complete. If the peer has closed the TCP connection, b"" is returned. If it has ended TLS,
        the connection is closed in the event loop's next turn.
        """
        data = os.read(fd, size)
        if not data:
            return data
        self._incoming.write(data)
        decrypted, over = self._decrypt()
        if over:
            asyncio.get_running_loop().call_soon(self.close)
        if not decrypted:
            raise BlockingIOError
        return decrypted

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send data. After `close`, nothing is sent."""
        if self._closing or not data:
            return
        try:
            self._ssl.write(data)
        except ssl.SSLError:  # the peer has broken the protocol
            self.abort()
        else:
            if self._writes.held:
                self._writes.encrypting.append(self)
            else:
                self._transport.write(self._outgoing.read())

    def flush(self) -> None:
        """Send what is encrypted, if anything is."""
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt and send several pieces of data."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """False: TLS cannot close one half of the connection."""
        return False

    def close(self) -> None:
        """Send what was written and close_notify, and close the connection when the peer has answered it."""
        if self._closing:
            return
        self._closing = True
        if self._on_handshake is not None:
            self._transport.abort()
            return
        try:
            self._ssl.unwrap()
        except ssl.SSLWantReadError:
            self.flush()
            self._transport.resume_reading()
            self._shutdown_timer = asyncio.get_running_loop().call_later(_SHUTDOWN_TIMEOUT, self._transport.abort)
        except ssl.SSLError:
            self._transport.close()
        else:
            self.flush()
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once, and drop what is not sent."""
        self._closing = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""
        return self._closing or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Information on the connection, by the names that asyncio has for it."""
        if name == "sslcontext":
            return self._ssl.context
        return self._ssl if name == "ssl_object" else self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Pass what is decrypted from now on to a protocol."""
        assert isinstance(protocol, asyncio.Protocol)  # noqa: S101 - the server has no other protocols
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that gets what is decrypted."""
        assert self._protocol is not None  # noqa: S101 - asked for by the protocol alone
        return self._protocol

    def is_reading(self) -> bool:
        """Whether the peer's data is read."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`."""
        if not self._closing:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read the peer's data again."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """How many encrypted bytes wait, because the peer has not read them."""
        return self._transport.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The numbers of waiting bytes at which the protocol resumes and pauses writing."""
        return self._transport.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set at how many waiting bytes the protocol pauses and resumes writing."""
        self._transport.set_write_buffer_limits(high, low)
