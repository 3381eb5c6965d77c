"""How much a peer may send in a second, counted in frames, so that a wideband stream is no flood."""

from collections.abc import Callable

from mediaserver.config.listener_settings import FRAME_MESSAGE
from mediaserver.wire import audiosocket

# Bytes of a 20 ms message of audio, by kind. All other kinds count as audio at 8 kHz.
_MESSAGE_BYTES = {kind: rate // 50 * 2 + audiosocket.HEADER_BYTES for kind, rate in audiosocket.RATES.items()}


class Allowance:
    """What a peer may send in a second: `max_rate` messages, or the sound of so many frames.

    It may have been silent before, or held up by its network. `clock` gives monotonic seconds.
    """

    __slots__ = ("_clock", "_frames", "_max_rate", "_second")

    def __init__(self, max_rate: int, clock: Callable[[], float]) -> None:
        self._max_rate, self._clock = max_rate, clock
        self._second, self._frames = clock(), 0.0

    def take(self, kind: int, size: int) -> bool:
        """A message of a kind has come, of so many bytes with its header; False where that is too much."""
        frames = 1.0  # as nearly all messages
        if size > FRAME_MESSAGE:
            frames = max(1.0, size / _MESSAGE_BYTES.get(kind, FRAME_MESSAGE))
        self._frames += frames
        if self._frames <= self._max_rate:
            return True
        now = self._clock()
        if now - self._second < 1:
            return False
        self._second, self._frames = now, frames
        return True
