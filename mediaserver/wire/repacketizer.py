"""Outbound frames at 8 kHz as messages for a peer with another sample rate, or with frames of another length."""

from collections.abc import Callable

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.audio.resample import FrameResampler
from mediaserver.wire import websocket


class Repacketizer:
    """Makes messages, each a whole number of the peer's frames, of encoded 20 ms frames at 8 kHz without a header.

    A peer whose frames are longer than 20 ms gets a message every few frames, and none (b"") for the others.
    `rate` is in Hz, `frame_bytes` the size of the peer's frame, and `wrap` makes a message of frames.
    """

    def __init__(self, rate: int, frame_bytes: int, wrap: Callable[[bytes], bytes] = websocket.binary) -> None:
        self._wrap = wrap
        self._resampler = FrameResampler(SAMPLE_RATE, rate) if rate != SAMPLE_RATE else None
        self._frame_bytes = frame_bytes
        self._rest = b""  # the beginning of the peer's next frame

    def pack(self, encoded_frame: bytes) -> bytes:
        """The message that this frame completes, or b""."""
        data = self._rest + self._resample(encoded_frame)
        end = len(data) - len(data) % self._frame_bytes
        self._rest = data[end:]
        return self._wrap(data[:end]) if end else b""

    def flush(self, silence: bytes) -> bytes:
        """A message of the frame that has begun, padded with silence; b"" if none has.

        `silence` is the encoded frame of 20 ms of silence.
        """
        data = self._rest + (self._resample(silence) if self._resampler is not None else b"")
        self._rest = b""
        return self._wrap(data + silence[:1] * (-len(data) % self._frame_bytes)) if data else b""

    def _resample(self, encoded_frame: bytes) -> bytes:
        return self._resampler.feed(encoded_frame) if self._resampler is not None else encoded_frame
