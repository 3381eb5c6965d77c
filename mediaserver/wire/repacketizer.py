"""Turns 20 ms frames at 8 kHz into messages for a peer that has another sample rate or frame length."""

from collections.abc import Callable

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.audio.resample import FrameResampler
from mediaserver.wire import websocket


class Repacketizer:
    """Turns encoded frames (20 ms, 8 kHz, no header) into messages that hold whole frames of the peer's size.

    If the peer's frames are longer than 20 ms, some encoded frames complete no message: `pack` returns b"" for
    them. `rate` is the peer's sample rate in Hz, `frame_bytes` the size in bytes of the peer's frame. `wrap` turns
    the bytes of whole frames into a message.
    """

    def __init__(self, rate: int, frame_bytes: int, wrap: Callable[[bytes], bytes] = websocket.binary) -> None:
        self._wrap = wrap
        self._resampler = FrameResampler(SAMPLE_RATE, rate) if rate != SAMPLE_RATE else None
        self._frame_bytes = frame_bytes
        self._rest = b""  # the beginning of the peer's next frame, which is not complete yet

    def pack(self, encoded_frame: bytes) -> bytes:
        """The message with the peer's frames that `encoded_frame` completes; b"" if it completes none."""
        data = self._rest + self._resample(encoded_frame)
        end = len(data) - len(data) % self._frame_bytes
        self._rest = data[end:]
        return self._wrap(data[:end]) if end else b""

    def flush(self, silence: bytes) -> bytes:
        """A message with the peer's frame that is not complete yet, padded with silence; b"" if there is none.

        `silence` is the encoded frame of 20 ms of silence.
        """
        data = self._rest + (self._resample(silence) if self._resampler is not None else b"")
        self._rest = b""
        return self._wrap(data + silence[:1] * (-len(data) % self._frame_bytes)) if data else b""

    def _resample(self, encoded_frame: bytes) -> bytes:
        return self._resampler.feed(encoded_frame) if self._resampler is not None else encoded_frame
