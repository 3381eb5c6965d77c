"""Measures how loud both directions of a call are, while an operator watches the call."""

import contextlib
from collections import deque
from collections.abc import Collection

from mediaserver.audio.level.levels import SILENCE_DB, rms_dbfs
from mediaserver.audio.pcm import from_bytes
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.wire.encapsulation import Encoding

_FRAMES = 10  # number of frames (200 ms) that are measured together


class LevelMeter:
    """The levels of one call in both directions, until `close` is called.

    The meter keeps the latest frames of the call, and measures them only when the levels are asked for.
    """

    def __init__(self, pacer: Pacer, receiver: Receiver) -> None:
        received: deque[bytes] = deque(maxlen=_FRAMES)
        sent: deque[tuple[Encoding, bytes]] = deque(maxlen=_FRAMES)
        self._received, self._sent = received, sent
        self._attached = contextlib.ExitStack()
        self._attached.enter_context(receiver.listen_pcm(received.append, expects_audio=False, despite_mute=True))
        self._attached.enter_context(pacer.observe(lambda encoding, frame: sent.append((encoding, frame))))

    def close(self) -> None:
        """Stop observing the call."""
        self._attached.close()

    def take_levels(self) -> dict[str, float | None]:
        """The levels in dBFS (a full-scale sine is 0) by direction, of at most the last 200 ms of audio.

        Audio is measured once only. A level is None if there was no new audio, or nothing but digital silence.
        """
        caller = _level(self._received)
        us = _level([encoding.decode(frame) for encoding, frame in self._sent])
        self._received.clear()
        self._sent.clear()
        return {"caller": caller, "us": us}


def _level(frames: Collection[bytes]) -> float | None:
    if not frames:
        return None
    level = rms_dbfs(from_bytes(b"".join(frames)))
    return round(level, 1) if level > SILENCE_DB else None
