"""What streams send in one tick, held until all of it is masked."""

from typing import Any

import pytest

from mediaserver.transport.held_writes import HeldWrites, MaskedTransport
from mediaserver.wire import websocket
from tests.transport.fake_transport import FakeTransport
from tests.transport.test_masking import unmask


class Recording(FakeTransport):
    """Keeps the payload of each frame that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: Any) -> None:
        self.sent.append(unmask(data))


def test_held_frames_are_written_at_the_release_in_their_order() -> None:
    writes, transports = HeldWrites(), [Recording() for _ in range(20)]
    masked = [MaskedTransport(transport, writes) for transport in transports]
    masked[0].write(websocket.binary(b"at once"))
    assert transports[0].sent == [b"at once"]
    masked[0].write(b"")  # no message: the peer's frame is longer, and not complete
    writes.hold()
    masked[0].write(b"")
    for number in (b"1", b"2", b"3"):
        for each in masked:
            each.write(websocket.binary(number))
    assert not transports[1].sent
    writes.release()
    assert transports[0].sent == [b"at once", b"1", b"2", b"3"]
    assert [transport.sent for transport in transports[1:]] == [[b"1", b"2", b"3"]] * 19
    writes.release()
    masked[1].write(websocket.binary(b"at once"))
    assert transports[1].sent == [b"1", b"2", b"3", b"at once"]


def test_a_frame_for_a_closing_connection_is_refused() -> None:
    transport = FakeTransport()
    transport.close()
    with pytest.raises(ConnectionResetError):
        MaskedTransport(transport, HeldWrites()).write(websocket.binary(b"late"))


def test_a_connection_that_cannot_be_written_harms_no_other() -> None:
    class Broken(FakeTransport):
        def write(self, data: Any) -> None:
            raise RuntimeError("a fault")

    writes, broken, whole = HeldWrites(), Broken(), Recording()
    writes.hold()
    for transport in (broken, whole):
        MaskedTransport(transport, writes).write(websocket.binary(b"frame"))
    writes.release()
    assert whole.sent == [b"frame"]
    assert broken.aborted
