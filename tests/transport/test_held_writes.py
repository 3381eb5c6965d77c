"""What is sent over TLS in one tick, held until all of it is encrypted."""

from mediaserver.transport.held_writes import HeldWrites


class Encrypting:
    """A transport with encrypted bytes to send, which fails if it is `broken`."""

    def __init__(self, *, broken: bool = False) -> None:
        self.flushed = 0
        self.aborted, self._broken = False, broken

    def flush(self) -> None:
        if self._broken:
            raise RuntimeError("a fault")
        self.flushed += 1

    def abort(self) -> None:
        self.aborted = True


def test_what_is_held_is_sent_once_and_a_connection_that_cannot_be_written_harms_no_other() -> None:
    writes, broken, whole = HeldWrites(), Encrypting(broken=True), Encrypting()
    writes.hold()
    assert writes.held
    writes.encrypting += [broken, whole]
    writes.release()
    writes.release()
    assert not writes.held
    assert (whole.flushed, whole.aborted) == (1, False)
    assert broken.aborted
