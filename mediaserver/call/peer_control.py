"""Call control towards the peer, besides audio: answer, flush, drain, hang up. Most peers support none of it."""

from collections.abc import Callable

from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.encapsulation import MESSAGE
from mediaserver.wire.wire import Wire


class PeerControl:
    """A peer that understands audio and nothing else."""

    answered = False  # whether the handler has answered the call, explicitly or by playing

    def answer(self) -> None:
        """Answer the call, where the peer leaves that to us."""
        self.answered = True

    def flush(self) -> bool:
        """Have the peer drop the audio that it has queued. Returns False if the peer cannot, and will play it."""
        return False

    async def drain(self) -> None:
        """Wait until the peer has played the audio that it has queued, but only for a limited time."""

    def hang_up(self) -> None:
        """Have the peer hang up the call, if the peer can do that."""

    def on_disconnect(self) -> None:
        """Stop waiting for the peer: its connection is lost."""


class AudioSocketControl(PeerControl):
    """Control of a peer that has dialled AudioSocket over a WebSocket: one of its messages hangs the call up."""

    def __init__(self, wire: Wire, write: Callable[[bytes], None]) -> None:
        self._wire, self._write = wire, write

    def hang_up(self) -> None:
        """Send the hang-up message, where the framing is AudioSocket messages and not raw PCM."""
        if self._wire.encoding is MESSAGE:
            self._write(websocket.binary(audiosocket.HANGUP))
