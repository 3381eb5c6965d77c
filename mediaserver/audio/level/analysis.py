"""Measurements of received audio: levels, clipping, speech and silence, as the `analyse` handler reports them."""

import math
from typing import Any

from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.audio.level import levels
from mediaserver.audio.level.stream_meter import StreamMeter
from mediaserver.audio.pcm import FRAMES_PER_SECOND, FULL_SCALE, SAMPLE_RATE, from_bytes


class Analyser:
    """Measures 8 kHz, 16-bit little-endian, mono PCM as it arrives.

    All times are in seconds of audio since the first sample. `sensitivity` is the VAD's mode, 0 to 3:
    at 3, the VAD classifies the least audio as speech. `detector` and `meter` may be fed together with those of
    other streams.
    """

    def __init__(self, sensitivity: int = 2) -> None:
        self.detector = VoiceActivityDetector(sensitivity)
        self.meter = StreamMeter()
        self.speaking = False  # whether the VAD is in a talkspurt
        self._changed_at = 0  # number of samples received until speech last began or ended
        self.last_talkspurt_s = 0.0  # length of the last talkspurt in seconds; 0 while the caller speaks
        self.digits = ""
        self._reported_until = 0.0
        self._begin_report()

    def _begin_report(self) -> None:
        self._samples_before, self._talkspurts = self._samples, 0
        self._voiced_before, self._frames_before = self.detector.voiced, self.detector.frames

    @property
    def _samples(self) -> int:
        return self.meter.samples

    @property
    def seconds(self) -> float:
        """Seconds of audio received so far, to the millisecond."""
        return round(self._samples / SAMPLE_RATE, 3)

    @property
    def silence_s(self) -> float:
        """Seconds since the last talkspurt ended; 0 within a talkspurt."""
        return 0.0 if self.speaking else self._since_change

    def is_silent_for(self, seconds: float) -> bool:
        """Whether no talkspurt was received for at least `seconds`."""
        return not self.speaking and self._samples >= self.silent_from(seconds)

    def silent_from(self, seconds: float) -> int:
        """The number of samples with which no talkspurt was received for `seconds`, if none begins before."""
        return self._changed_at + math.ceil(seconds * SAMPLE_RATE)

    @property
    def _since_change(self) -> float:
        return round((self._samples - self._changed_at) / SAMPLE_RATE, 3)

    def feed(self, pcm: bytes, tone: bool = False, power: float | None = None) -> bool:
        """Measure PCM of any even number of bytes; return whether a talkspurt has begun or ended in this PCM.

        `tone`: the audio is a DTMF tone, which does not count as speech. `power`: the mean square of its samples,
        where that is known already.
        """
        self.detector.feed(pcm, tone, power)
        self.meter.feed(from_bytes(pcm))
        return self.update()

    def update(self) -> bool:
        """Take note of what the detector and the meter were fed; return what `feed` returns.

        This must be called at least where the detector's `speaking` has changed.
        """
        if self.detector.speaking is self.speaking:
            return False
        self.last_talkspurt_s = self._since_change if self.speaking else 0.0
        self.speaking = not self.speaking
        self._changed_at = self._samples
        self._talkspurts += self.speaking
        return True

    def report(self) -> dict[str, Any]:
        """The measurements since the last report, under the keys of the `analysis` event. Begins a new report."""
        samples = self._samples - self._samples_before
        energy, peak, clipped = self.meter.take()
        rms = levels.power_dbfs(energy / samples) if samples else levels.SILENCE_DB
        frames = self.detector.frames - self._frames_before
        voiced = self.detector.voiced - self._voiced_before
        report = {
            "from_s": self._reported_until,
            "to_s": self.seconds,
            "heard_s": round(self.seconds - self._reported_until, 3),
            "rms_dbfs": round(rms, 1),
            "peak_dbfs": round(levels.amplitude_dbfs(peak / FULL_SCALE), 1),
            "level_dbm0": round(levels.dbm0_of_dbfs(rms), 1),
            "speech_s": round(voiced / FRAMES_PER_SECOND, 2),
            "speech_ratio": round(voiced / frames, 3) if frames else 0.0,
            "talk_spurts": self._talkspurts,
            "clipped_samples": clipped,
            "digits": self.digits,
        }
        self._reported_until, self.digits = self.seconds, ""
        self._begin_report()
        return report
