"""What a peer can be told besides sound. Most peers can be told nothing."""

from collections.abc import Callable

from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.encapsulation import MESSAGE
from mediaserver.wire.wire import Wire


class PeerControl:
    """A peer that takes sound and nothing else."""

    answered = False  # or somebody has asked for that

    def answer(self) -> None:
        """Answer the call, where that is ours to do."""
        self.answered = True

    def flush(self) -> bool:
        """Have the peer forget what it was sent and has not played; False where it plays that all the same."""
        return False

    async def drain(self) -> None:
        """Wait until the peer has played what it was sent, no longer than is sensible."""

    def hang_up(self) -> None:
        """Have the peer hang the call up, where it can."""

    def lost(self) -> None:
        """The connection is gone: there is nothing to wait for any more."""


class AudioSocketControl(PeerControl):
    """AudioSocket over a WebSocket that dialled us: a message of its own says that the call is over."""

    def __init__(self, wire: Wire, write: Callable[[bytes], None]) -> None:
        self._wire, self._write = wire, write

    def hang_up(self) -> None:
        """Say it, where the peer takes AudioSocket messages and not raw PCM."""
        if self._wire.encoding is MESSAGE:
            self._write(websocket.binary(audiosocket.HANGUP))
