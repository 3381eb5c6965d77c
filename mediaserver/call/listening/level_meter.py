"""Measures how loud both directions of a call are, while an operator watches the call."""

import contextlib
from collections import deque
from collections.abc import Sequence

import numpy as np

from mediaserver.audio.level.levels import SILENCE_DB, power_dbfs
from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, from_bytes
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.wire.encapsulation import Encoding

_FRAMES = 10  # number of frames (200 ms) that are measured together
_BYTES = _FRAMES * FRAME_BYTES  # the most bytes of PCM that are measured together


class LevelMeter:
    """The levels of one call in both directions, until `close` is called.

    The meter keeps the latest frames of the call. `take_levels` measures them.
    """

    def __init__(self, pacer: Pacer, receiver: Receiver) -> None:
        self._received: deque[bytes] = deque(maxlen=_FRAMES)
        self._sent: deque[bytes] = deque(maxlen=_FRAMES)
        self._encoding: Encoding | None = None  # the encoding of all frames in `_sent`
        self._attached = contextlib.ExitStack()
        received = self._received.append
        self._attached.enter_context(receiver.listen_pcm(received, expects_audio=False, despite_mute=True))
        self._attached.enter_context(pacer.observe(self._on_frame_sent))

    def close(self) -> None:
        """Stop observing the call."""
        self._attached.close()

    def take_pcm(self) -> tuple[bytes, bytes]:
        """Take the PCM of the caller and of what we send, of the latest 200 ms at most, out of the meter."""
        received, sent = b"".join(self._received), b""
        if self._encoding is not None:
            sent = self._encoding.decode_all(self._sent)
        self._received.clear()
        self._sent.clear()
        return received, sent

    def _on_frame_sent(self, encoding: Encoding, frame: bytes) -> None:
        if encoding is not self._encoding:
            self._encoding = encoding
            self._sent.clear()
        self._sent.append(frame)


def take_levels(meters: Sequence[LevelMeter]) -> list[dict[str, float | None]]:
    """The levels of each meter by direction, in dBFS (a full-scale sine is 0), of at most the last 200 ms.

    Audio is measured once only. All meters are measured by the same numpy operations, because one operation for
    many takes little longer than for one. A level is None if there was no new audio, or only digital silence.
    """
    levels = _levels([pcm for meter in meters for pcm in meter.take_pcm()])
    return [{"caller": caller, "us": us} for caller, us in zip(levels[::2], levels[1::2], strict=True)]


def _levels(pcms: Sequence[bytes]) -> list[float | None]:
    heard = [n for n, pcm in enumerate(pcms) if pcm]
    latest = [pcms[n][-_BYTES:] for n in heard]
    samples = from_bytes(b"".join([pcm.ljust(_BYTES, b"\0") for pcm in latest])).reshape(
        -1, _BYTES // SAMPLE_BYTES
    )
    signal = samples.astype(np.float32)
    levels: list[float | None] = [None] * len(pcms)
    for n, pcm, energy in zip(heard, latest, np.einsum("ij,ij->i", signal, signal).tolist(), strict=True):
        level = power_dbfs(energy * SAMPLE_BYTES / len(pcm))
        levels[n] = round(level, 1) if level > SILENCE_DB else None
    return levels
