"""Call control towards the peer, besides audio: answer, flush, drain, hang up, transfer. Most peers do little."""

import asyncio
from collections.abc import Callable, Sequence

from mediaserver.call.inbound.keypad import Keypad
from mediaserver.errors import CallControlError
from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.encapsulation import MESSAGE
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.destination import Destination
from mediaserver.wire.wire import Wire


class PeerControl:
    """Call control of a peer that understands audio and nothing else: most methods do nothing."""

    answered = False  # whether the handler has answered the call, explicitly or by playing
    exhausted: asyncio.Event | None = None  # set when the peer will soon end the call; None where it never does

    def answer(self) -> None:
        """Answer the call, where the peer leaves that to the server."""
        self.answered = True

    def flush(self) -> bool:
        """Have the peer drop the audio that it has queued. Returns False if the peer cannot, and will play it."""
        return False

    async def drain(self) -> None:
        """Wait until the peer has played the audio that it has queued, but only for a limited time."""

    def hang_up(self) -> None:
        """Have the peer hang up the call, if the peer can do that."""

    def require(self, destination: Destination | Sequence[Action]) -> None:
        """Raise CallControlError if the peer cannot transfer the call to a destination, or execute actions."""
        what = "transferred" if isinstance(destination, Destination) else "given actions"
        raise CallControlError(f"the call cannot be {what} on this stream: that takes a path with flow = true")

    def lead_to(self, destination: Destination | Sequence[Action]) -> None:
        """Have the peer transfer the call to a destination, or execute actions of a flow, as `require` allows."""
        self.require(destination)

    def on_keypad(self, keypad: Keypad) -> None:
        """Called when the call gets its keypad, before the handler waits for a digit."""

    def on_disconnect(self) -> None:
        """Stop waiting for the peer: its connection is lost."""


class AudioSocketControl(PeerControl):
    """Control of a peer that has dialled AudioSocket over a WebSocket, which has a message to hang up the call."""

    def __init__(self, wire: Wire, write: Callable[[bytes], None]) -> None:
        self._wire, self._write = wire, write

    def hang_up(self) -> None:
        """Send the hang-up message, where the framing is AudioSocket messages and not raw PCM."""
        if self._wire.encoding is MESSAGE:
            self._write(websocket.binary(audiosocket.HANGUP))
