"""Detects speech as a caller begins to speak, and nothing else: what stops a prompt that speech may stop.

A voice activity detector such as WebRTC's takes for speech whatever is not quiet: noise, tones, hum, music and the
prompt's own echo. This detector gathers evidence of speech, frame by frame. A frame speaks for speech if it stands
out from the noise floor and from what may be echo, is periodic as a voice is, and changes as a voice does. A frame
of steady partials, as of a tone, hum or a held note, speaks against it.
"""

from collections.abc import Callable

import numpy as np

from mediaserver.audio.detection.echo_bound import EchoBound
from mediaserver.audio.detection.noise_floor import NoiseFloor
from mediaserver.audio.detection.spectrum import SpectrumTrack
from mediaserver.audio.level.levels import power_dbfs
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, Chunker, Samples, Signal, from_bytes
from mediaserver.audio.vad import NOISE_FLOOR_DBFS

# The evidence that begins a talkspurt, by the mode that WebRTC's detector would have. A voiced frame adds about 1.
_THRESHOLDS = (3.0, 3.15, 3.3, 4.5)
_SILENT_DBFS = -75.0  # below this no spectrum is taken, because no speech can be in it
_SILENCE_KNOWN = (
    16  # silent frames in a row, after which one more changes neither the spectrum nor the noise floor
)

_OVER_NOISE = 4.0  # a band stands out with this many times the noise's power (6 dB)
_SHARE = 0.4  # of the power that must lie in bands that stand out
_FEWEST_BANDS = 2  # that must stand out
_PERIODICITY = 0.42  # above it, a frame is voiced
_CONCENTRATION = 0.95  # above it, a frame is a single tone, even where the tone is modulated
_CHANGE, _CHANGE_RANGE = 0.35, 0.2  # the change of a frame that speaks neither for nor against speech; half-width
_STEADY = 0.25  # a frame that changes less is steady
_AGAINST = 0.8  # the most evidence that a steady frame takes away
_FADING = 0.12  # evidence that any other frame takes away
_BROAD_BANDS, _BROAD = 6, 1.2  # a voiced frame that stands out in so many bands has its evidence multiplied
# A consonant without voice is like a burst of noise. It adds evidence only where there is little so far.
_UNVOICED, _UNVOICED_LIMIT, _UNVOICED_BANDS, _UNVOICED_SHARE, _UNVOICED_CHANGE = 0.6, 0.65, 5, 0.8, 0.5


def _nothing_sent() -> bytes:
    return b""


class SpeechDetector:
    """Detects speech in one stream of 16-bit little-endian, mono PCM at 8 kHz.

    `mode` is 0 to 3: at 3, the least audio counts as speech. `sent` returns what was sent to the peer since it was
    last called: whole frames of PCM. What was sent may come back as an echo, which is no speech.
    `sent` is called only for frames in which something stands out from noise.
    """

    def __init__(self, mode: int = 2, sent: Callable[[], bytes] = _nothing_sent) -> None:
        self._threshold, self._sent = _THRESHOLDS[mode], sent
        self._spectrum, self._floor, self._echo = SpectrumTrack(), NoiseFloor(), EchoBound()
        self._chunker = Chunker(FRAME_BYTES)
        self._silent_frames = 0  # in a row
        self._evidence = 0.0
        self.speaking = False  # from the frame whose evidence is enough, until all evidence has faded
        self.frames = 0  # frames received so far
        self.began_frame = 0  # number of the frame, counted from 1, with which the present evidence began

    def feed(self, pcm: bytes, tone: bool = False, power: float | None = None) -> bool:
        """Whether somebody speaks after this audio, which may have any length.

        `tone` marks the audio as a DTMF tone, which does not count as speech. `power` is the mean square of the
        samples, where it is known already.
        """
        if len(pcm) == FRAME_BYTES and not self._chunker.rest:  # the usual case
            self._weigh_frame(from_bytes(pcm), tone, power)
            return self.speaking
        for frame in self._chunker.feed(pcm):
            self._weigh_frame(from_bytes(frame), tone, None)
        return self.speaking

    def _weigh_frame(self, samples: Samples, tone: bool, power: float | None) -> None:
        if power is None:
            signal: Signal = samples.astype(float)
            power = float(signal.dot(signal)) / FRAME_SAMPLES
        evidence = self._evidence
        gained = -_AGAINST if tone else self._weigh_spectrum(samples, power_dbfs(power))
        self.frames += 1
        if evidence == 0 and gained > 0:
            self.began_frame = self.frames
        self._evidence = evidence = min(max(0.0, evidence + gained), self._threshold)
        if evidence == self._threshold:
            self.speaking = True
        elif not evidence:
            self.speaking = False

    def _weigh_spectrum(self, samples: Samples, level: float) -> float:
        """The evidence of speech that a frame adds, below 0 if it takes some away; `level` is in dBFS."""
        spectrum = self._spectrum
        if level < _SILENT_DBFS:
            self._silent_frames += 1
            if self._silent_frames > _SILENCE_KNOWN:
                return -_FADING
            spectrum.push_silence()
        else:
            self._silent_frames = 0
            spectrum.push(samples)
        bands = spectrum.bands
        floor = self._floor.push(bands)
        if level <= NOISE_FLOOR_DBFS:
            return -_FADING
        if not (bands > _OVER_NOISE * floor).any():
            return -_FADING
        self._echo.push(self._sent())
        standing_out = bands > _OVER_NOISE * floor + self._echo.strongest()
        count, share = int(np.count_nonzero(standing_out)), float(bands.dot(standing_out) / bands.sum())
        if count < _FEWEST_BANDS or share <= _SHARE:
            return -_FADING
        change = spectrum.change(standing_out)
        if spectrum.periodicity() > _PERIODICITY and spectrum.concentration() < _CONCENTRATION:
            gained = max(-_AGAINST, min((change - _CHANGE) / _CHANGE_RANGE, 1.0))
            return gained * _BROAD if gained > 0 and count >= _BROAD_BANDS else gained
        if change < _STEADY:
            return -_AGAINST
        unvoiced = count >= _UNVOICED_BANDS and share > _UNVOICED_SHARE and change > _UNVOICED_CHANGE
        return _UNVOICED if unvoiced and self._evidence < _UNVOICED_LIMIT else -_FADING
