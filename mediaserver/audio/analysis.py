"""What a stretch of audio is like: levels, speech and silence, clipping."""

from typing import Any

import numpy as np

from mediaserver.audio import levels
from mediaserver.audio.pcm import FRAMES_PER_SECOND, FULL_SCALE, SAMPLE_BYTES, SAMPLE_RATE, from_bytes
from mediaserver.audio.vad import SpeechDetector

CLIPPED = 32_124  # µ-law's loudest sample; linear PCM is cut off a little higher
_BLOCK = SAMPLE_RATE * SAMPLE_BYTES  # bytes that are measured at once


class Analyser:
    """Measures audio as it comes. Times are in seconds of audio since the beginning."""

    def __init__(self, sensitivity: int = 2) -> None:
        self._detector = SpeechDetector(sensitivity)
        self._block = bytearray()
        self._samples = 0
        self._turned = 0.0  # when speech began, or ended
        self.last_spurt = 0.0
        self.digits = ""
        self._reported = 0.0
        self._begin()

    def _begin(self) -> None:
        self._peak, self._power, self._measured, self._clipped = 0, 0.0, 0, 0
        self._spurts, self._voiced, self._judged = 0, self._detector.voiced, self._detector.frames

    @property
    def seconds(self) -> float:
        """Audio heard so far."""
        return round(self._samples / SAMPLE_RATE, 3)

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks."""
        return self._detector.speaking

    @property
    def quiet(self) -> float:
        """How long nobody has spoken."""
        return 0.0 if self.speaking else round(self.seconds - self._turned, 3)

    def feed(self, pcm: bytes, tone: bool = False) -> None:
        """Take in audio, of any length; `tone`: it is known to be a key's, and no speech."""
        spoke = self.speaking
        self._samples += len(pcm) // SAMPLE_BYTES
        if self._detector.feed(pcm, tone) is not spoke:
            self.last_spurt = round(self.seconds - self._turned, 3) if spoke else 0.0
            self._turned = self.seconds
            self._spurts += self.speaking
        self._block += pcm
        if len(self._block) >= _BLOCK:
            self._measure()

    def _measure(self) -> None:
        samples = from_bytes(bytes(self._block)).astype(np.int32)
        self._block.clear()
        if len(samples):
            magnitude = np.abs(samples)
            self._peak = max(self._peak, int(magnitude.max()))
            self._clipped += int(np.count_nonzero(magnitude >= CLIPPED))
            self._power += float(np.square(samples.astype(np.float64)).sum())
            self._measured += len(samples)

    def report(self) -> dict[str, Any]:
        """All that was measured since the last report."""
        self._measure()
        rms = levels.power_dbfs(self._power / self._measured) if self._measured else levels.SILENT_DB
        judged = self._detector.frames - self._judged
        voiced = self._detector.voiced - self._voiced
        report = {
            "from_s": self._reported,
            "to_s": self.seconds,
            "heard_s": round(self.seconds - self._reported, 3),
            "rms_dbfs": round(rms, 1),
            "peak_dbfs": round(levels.amplitude_dbfs(self._peak / FULL_SCALE), 1),
            "level_dbm0": round(levels.dbm0_of_dbfs(rms), 1),
            "speech_s": round(voiced / FRAMES_PER_SECOND, 2),
            "speech_ratio": round(voiced / judged, 3) if judged else 0.0,
            "talk_spurts": self._spurts,
            "clipped_samples": self._clipped,
            "digits": self.digits,
        }
        self._reported, self.digits = self.seconds, ""
        self._begin()
        return report
