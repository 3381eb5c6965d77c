"""Outbound frames at 8 kHz as messages for a peer with another sample rate, or with frames of another length."""

from collections.abc import Callable

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.audio.resample import FrameResampler
from mediaserver.wire import websocket


class Repacketizer:
    """Turns our frames (encoded, 20 ms, 8 kHz, no header) into messages that hold whole frames of the peer's.

    If the peer's frames are longer than 20 ms, some frames of ours complete no message: `pack` returns b"" then.
    `rate` is the peer's in Hz, `frame_bytes` the size of the peer's frame. `wrap` turns frames into a message.
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
        """A message with the peer's frame that has begun, completed with silence; b"" if no frame has begun.

        `silence` is the encoded frame of 20 ms of silence.
        """
        data = self._rest + (self._resample(silence) if self._resampler is not None else b"")
        self._rest = b""
        return self._wrap(data + silence[:1] * (-len(data) % self._frame_bytes)) if data else b""

    def _resample(self, encoded_frame: bytes) -> bytes:
        return self._resampler.feed(encoded_frame) if self._resampler is not None else encoded_frame
