"""The connections to which streams are paced, as a pacer and the ticker use them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from mediaserver.transport.masking import MaskedTransport, mask_together

# Makes, of the messages of several streams, what is written to the streams' connections. No message is b"".
Encode = Callable[[Sequence[bytes]], Sequence[bytes]]


class Transport(Protocol):
    """The connection to which messages are written: the part of `asyncio.WriteTransport` that a pacer uses."""

    def write(self, data: bytes) -> None:
        """Send a whole message, or buffer it until the peer reads."""

    def get_write_buffer_size(self) -> int:
        """How many bytes wait in the transport's buffer, because the peer has not read them."""

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""


def way_to_write(transport: Transport) -> tuple[Encode | None, Callable[[bytes], None]]:
    """How messages are encoded before they are written to a transport (None: not at all), and what writes them."""
    if isinstance(transport, MaskedTransport):
        return mask_together, transport.write_masked
    return None, transport.write
