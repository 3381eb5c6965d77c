"""Frames at 8 kHz as the messages of a peer that wants another rate, or frames of another length."""

from collections.abc import Callable

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.audio.resample import FrameResampler
from mediaserver.wire import websocket


class Packer:
    """Makes messages, each a whole number of the peer's frames, of bare items of 20 ms at 8 kHz.

    A peer whose frames are longer than 20 ms gets a message every few items, and none (b"") for the others. `wrap`
    makes a message of frames.
    """

    def __init__(self, rate: int, frame_bytes: int, wrap: Callable[[bytes], bytes] = websocket.binary) -> None:
        self._wrap = wrap
        self._resampler = FrameResampler(SAMPLE_RATE, rate) if rate != SAMPLE_RATE else None
        self._size = frame_bytes
        self._rest = b""  # of a frame

    def pack(self, item: bytes) -> bytes:
        """The message that one more item completes, or b""."""
        data = self._rest + self._resampled(item)
        end = len(data) - len(data) % self._size
        self._rest = data[end:]
        return self._wrap(data[:end]) if end else b""

    def rest(self, silence: bytes) -> bytes:
        """The message that holds what is left, filled up with silence, of which `silence` is an item; or b""."""
        data = self._rest + (self._resampled(silence) if self._resampler is not None else b"")
        self._rest = b""
        return self._wrap(data + silence[:1] * (-len(data) % self._size)) if data else b""

    def _resampled(self, item: bytes) -> bytes:
        return self._resampler.feed(item) if self._resampler is not None else item
