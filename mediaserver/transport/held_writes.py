"""Holds what streams send over TLS in one tick until all of it is encrypted, and then writes it.

A system call throws much of the code and the data of what came before out of the processor's caches. So what is
done to a frame between two of them takes several times as long as in a loop without any.
"""

from typing import Protocol

import structlog

log = structlog.get_logger()


class EncryptingTransport(Protocol):
    """A transport that keeps encrypted bytes."""

    def flush(self) -> None:
        """Send the encrypted bytes that are kept."""

    def abort(self) -> None:
        """Close the connection at once."""


class HeldWrites:
    """What is sent from `hold` to `release`, in which it is written.

    While `held` is true, transports keep what they encrypt, and put themselves into `encrypting`.
    """

    def __init__(self) -> None:
        self.held = False
        self.encrypting: list[EncryptingTransport] = []

    def hold(self) -> None:
        """Hold what is sent from now on."""
        self.held = True

    def release(self) -> None:
        """Write all that is held, on each connection in the order in which it was sent. It does not raise."""
        self.held = False
        if self.encrypting:
            encrypting, self.encrypting = self.encrypting, []
            for transport in encrypting:
                try:
                    transport.flush()
                except Exception:  # a fault of one connection must not stop the others
                    log.exception("write failed")
                    transport.abort()
