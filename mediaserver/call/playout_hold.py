"""Holds the playout back at the beginning of a connection that the server has dialled."""

import asyncio

from mediaserver.call.inbound.receiver import Receiver
from mediaserver.playout.pacing.pacer import Pacer


class PlayoutHold:
    """Has the pacer send only silence until the peer's first audio, or until a time-out.

    A platform may answer before its media path is up, and drop the audio that it is sent before that.
    """

    __slots__ = ("_pacer", "_receiver", "_timer")

    def __init__(self, pacer: Pacer, receiver: Receiver) -> None:
        self._pacer, self._receiver = pacer, receiver
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, timeout: float) -> None:
        """Send only silence until the peer's first audio, for `timeout` seconds at most."""
        self._pacer.hold()
        self._receiver.on_next_audio(self.release)
        self._timer = asyncio.get_running_loop().call_later(timeout, self.release)

    def release(self) -> None:
        """Release the playout, so that sound is sent from now on."""
        self.cancel()
        self._timer = None
        self._pacer.release()

    def cancel(self) -> None:
        """Cancel the time-out, because the connection or the stream is over."""
        if self._timer is not None:
            self._timer.cancel()
