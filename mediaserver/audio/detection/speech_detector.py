"""Detects speech as a caller begins to speak, and nothing else: what stops a prompt that speech may stop.

A voice activity detector such as WebRTC's takes for speech whatever is not quiet: noise, tones, hum, music and the
prompt's own echo. This detector gathers evidence of speech, frame by frame. A frame speaks for speech if it stands
out from the noise floor and from what may be echo, is periodic as a voice is, and changes as a voice does. A frame
of steady partials, as of a tone, hum or a held note, speaks against it. `speech_evidence` has the rules.

The frames of many streams are weighed together, as one numpy operation for all costs little more than for one.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mediaserver.audio.detection import noise_floor, spectrum
from mediaserver.audio.detection.echo_bound import EchoBound, push_all
from mediaserver.audio.detection.noise_floor import FLOOR_WIDTH, new_floor
from mediaserver.audio.detection.spectrum import (
    BINS,
    COUNTED,
    OVERLAP,
    WINDOW,
    Spectrum,
    Window,
    band_sums,
    powers_of,
)
from mediaserver.audio.detection.speech_evidence import AGAINST, FADING, VOICED, evidence_of, without_noise
from mediaserver.audio.detection.state_table import StateTable
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, FULL_SCALE, Chunker, Samples, Signal, from_bytes

# The evidence of speech that begins a talkspurt, for each mode from 0 to 3. The modes are those of WebRTC's VAD. A
# voiced frame adds about 1.
_THRESHOLDS = (2.65, 2.75, 2.9, 3.95)


def _power_of(dbfs: float) -> float:
    """The mean square of samples at a level; a sine of full scale has 0 dBFS."""
    return float(FULL_SCALE**2 / 2 * 10 ** (dbfs / 10))


_NOISE_FLOOR = _power_of(-55.0)  # a frame no louder than this is line noise, whatever its spectrum
_SILENT = _power_of(-75.0)  # no spectrum is taken of a frame below this power, because it cannot hold speech
# After this number of silent frames in a row, a further one changes neither the spectrum nor the noise floor.
_SILENCE_KNOWN = 16

_OVER_NOISE = 4.0  # a band stands out with this many times the noise's power (6 dB)
_SHARE = 0.4  # least share of a speech frame's power that lies in bands that stand out from the noise
_FEWEST_BANDS = 2  # least number of bands in which a speech frame stands out from the noise

# The state of a stream's detector, which is a row of a table.
_STATE = np.dtype(
    [
        ("tail", np.float32, OVERLAP),  # the last samples of the latest frame
        ("spectra", np.complex64, (2, BINS)),  # the spectra of the two latest frames, in turns
        ("floor", np.float32, FLOOR_WIDTH),  # the estimate of the noise
        ("weighed", np.int64),  # number of frames from which the noise floor was estimated so far
        ("period", np.int32),  # the pitch period of the latest frame in samples; 0 if it was not voiced
    ],
    align=True,
)
_STATES = StateTable(_STATE)
_NO_BINS: Spectrum = np.zeros(COUNTED.stop + COUNTED.start, np.complex64)


class SpeechDetector:
    """Detects speech in one stream of 16-bit little-endian, mono PCM at 8 kHz.

    `mode` is 0 to 3: at 3, the least audio counts as speech. `sent` returns what was sent to the peer since it was
    last called: whole frames of PCM. What was sent may come back as an echo, which is no speech.
    `sent` is called only for frames in which something stands out from noise.
    """

    def __init__(self, mode: int = 2, sent: Callable[[], bytes] | None = None) -> None:
        self._threshold, self._sent = _THRESHOLDS[mode], sent
        self._echo = EchoBound() if sent is not None else None
        self._index = _STATES.add()
        self._set_floor(new_floor())
        self._chunker = Chunker(FRAME_BYTES)
        self._silent_frames = 0  # number of silent frames in a row
        self._evidence = 0.0
        self.speaking = False  # whether the caller speaks: from enough evidence of speech until none is left
        self.frames = 0  # number of frames received so far
        self.began_frame = 0  # number of the frame, counted from 1, in which the present evidence of speech began

    def __del__(self) -> None:
        _STATES.remove(self._index)

    def _set_floor(self, row: Window | float) -> None:
        """Set what is known of the noise."""
        _STATES.rows["floor"][self._index] = row

    def feed(self, pcm: bytes, tone: bool = False, power: float | None = None) -> bool:
        """Process audio of any length; return whether somebody is speaking at its end.

        `tone` marks the audio as a DTMF tone, which does not count as speech. `power` is the mean square of the
        samples, if the calling code knows it already.
        """
        if len(pcm) == FRAME_BYTES and self.at_frame_start:  # in the usual case, `pcm` is one whole frame
            self.feed_frame(pcm, tone, power)
            return self.speaking
        for frame in self.whole_frames(pcm):
            self.feed_frame(frame, tone)
        return self.speaking

    def whole_frames(self, pcm: bytes) -> Iterable[bytes]:
        """The frames of 320 bytes that this audio completes. They are to be fed by `feed_frame`."""
        return self._chunker.feed(pcm)

    @property
    def at_frame_start(self) -> bool:
        """Whether the audio so far was whole frames, so that `detect_speech` may be given the next one."""
        return not self._chunker.rest

    def feed_frame(self, frame: bytes, tone: bool = False, power: float | None = None) -> None:
        """Detect speech in the next whole frame, of 320 bytes."""
        samples = from_bytes(frame)
        if power is None:
            signal: Signal = samples.astype(float)
            power = float(signal.dot(signal)) / FRAME_SAMPLES
        if tone:
            self._add_evidence(-AGAINST)
        else:
            self._add_evidence(self._weigh(samples, power) if self._has_news(power) else -FADING)

    def _weigh(self, samples: Samples, power: float) -> float:
        """The evidence of speech that a frame adds: what `_weigh_all` does, in fewer operations for one frame."""
        state = _STATES.rows[self._index]
        weighed, floor = int(state["weighed"]), state["floor"]
        window: Window = np.concatenate((state["tail"], samples))
        if power < _SILENT:
            window[OVERLAP:] = 0
            bins = _NO_BINS
        else:
            bins = spectrum.spectra(window)
        earliest, before = state["spectra"][:: 1 if weighed % 2 == 0 else -1]
        known = (before, earliest, int(state["period"]))
        gained, state["period"] = self._weigh_spectrum(window, bins, power, floor, *known)
        state["tail"] = window[FRAME_SAMPLES:]
        earliest[:] = bins[COUNTED]
        state["weighed"] = weighed + 1
        if (weighed + 1) % noise_floor.BLOCK_FRAMES == 0:
            noise_floor.end_blocks(floor[None], np.array([weighed + 1]))
        return gained

    def _weigh_spectrum(
        self,
        window: Window,
        bins: Spectrum,
        power: float,
        floor: Window,
        before: Spectrum,
        earliest: Spectrum,
        period_before: int,
    ) -> tuple[float, int]:
        """The evidence of speech that a frame adds, and its pitch period, 0 if it is not voiced."""
        powers = powers_of(bins)
        bands = band_sums(powers[COUNTED])
        noise = _OVER_NOISE * noise_floor.push_powers(floor, bands)
        if power <= _NOISE_FLOOR or not (bands > noise).any():
            return -FADING, 0
        if self._sent is not None and self._echo is not None:
            noise = noise + push_all([self._echo], [self._sent()])[0]
        standing_out = bands > noise
        count, share = int(np.count_nonzero(standing_out)), float(bands.dot(standing_out) / bands.sum())
        if count < _FEWEST_BANDS or share <= _SHARE:
            return -FADING, 0
        change = float(spectrum.change(bins[COUNTED], before, earliest, standing_out))
        alike, likest = spectrum.pitch(window)
        periodicity, period = without_noise(float(alike), share), int(likest)
        concentration = float(spectrum.concentration(powers))
        figures = (count, share, change, periodicity, period, period_before, concentration)
        gained = evidence_of(self._evidence, *figures)
        return gained, period if periodicity > VOICED else 0

    def _has_news(self, power: float) -> bool:
        """Whether a frame with this power needs its spectrum examined. In lasting silence, frames do not."""
        if power >= _SILENT:
            self._silent_frames = 0
            return True
        self._silent_frames += 1
        return self._silent_frames <= _SILENCE_KNOWN

    def _add_evidence(self, gained: float) -> None:
        """Add the evidence of speech in the next frame, which is negative if the frame speaks against speech."""
        self.frames += 1
        evidence = self._evidence
        if evidence or gained > 0:
            if not evidence:
                self.began_frame = self.frames
            self._evidence = min(max(0.0, evidence + gained), self._threshold)
        self._decide(gained > 0)

    def _decide(self, voiced: bool) -> None:
        """Update `speaking` after a frame; `voiced` tells whether the frame added evidence of speech."""
        if self._evidence == self._threshold:
            self.speaking = True
        elif not self._evidence:
            self.speaking = False


def detect_speech(
    detectors: Sequence[SpeechDetector], frames: Samples, powers: Sequence[float], tones: Sequence[bool]
) -> None:
    """Feed the next frame of each of several streams to the stream's detector, with the same effect as its `feed`.

    `frames` has shape (n, 160), int16; `powers` are the mean squares of their samples, and `tones` says which of
    them are DTMF tones. No detector may be listed twice, and none may have been fed an incomplete last frame.
    """
    rows: list[int] = []
    for n, detector in enumerate(detectors):
        if tones[n]:
            detector._add_evidence(-AGAINST)
        elif detector._has_news(powers[n]):
            rows.append(n)
        else:
            detector._add_evidence(-FADING)
    if rows:
        if len(rows) < len(frames):
            detectors, frames, powers = [detectors[n] for n in rows], frames[rows], [powers[n] for n in rows]
        for detector, gained in zip(detectors, _weigh_all(detectors, frames, powers), strict=True):
            detector._add_evidence(gained)


def _weigh_all(detectors: Sequence[SpeechDetector], frames: Samples, powers: Sequence[float]) -> list[float]:
    """The evidence of speech that each frame adds: the same as `SpeechDetector._weigh` returns for each alone."""
    states, at, power = _STATES.rows, np.array([each._index for each in detectors]), np.array(powers)
    windows = np.empty((len(frames), WINDOW), np.float32)
    windows[:, :OVERLAP] = states["tail"][at]
    windows[:, OVERLAP:] = frames
    silent = power < _SILENT
    some_silent = silent.any()
    if some_silent:
        windows[silent, OVERLAP:] = 0
    bins = spectrum.spectra(windows)
    if some_silent:
        bins[silent] = 0
    bin_powers = powers_of(bins)
    bands = band_sums(bin_powers[:, COUNTED])
    floors = states["floor"][at]
    noise = _OVER_NOISE * noise_floor.push_powers(floors, bands)
    weighed = states["weighed"][at]
    oldest = weighed % 2

    gains, voiced = [-FADING] * len(frames), np.zeros(len(frames), np.int32)
    out = ((power > _NOISE_FLOOR) & (bands > noise).any(axis=1)).nonzero()[0]
    if len(out):
        of_bands = bands.take(out, axis=0)
        standing_out = of_bands > noise.take(out, axis=0) + _echoes([detectors[n] for n in out.tolist()])
        counts = standing_out.sum(axis=1)
        shares = np.vecdot(of_bands, standing_out) / of_bands.sum(axis=1)
        enough = (counts >= _FEWEST_BANDS) & (shares > _SHARE)
        out, standing_out, counts, shares = out[enough], standing_out[enough], counts[enough], shares[enough]
    if len(out):
        known, of, older = states["spectra"], at[out], oldest[out]
        changes = spectrum.change(
            bins.take(out, axis=0)[:, COUNTED], known[of, 1 - older], known[of, older], standing_out
        )
        periodicity, periods = spectrum.pitch(windows.take(out, axis=0))
        periodicity = without_noise(periodicity, shares)
        voiced[out] = periods * (periodicity > VOICED)
        concentration = spectrum.concentration(bin_powers.take(out, axis=0))
        pitch = (periodicity, periods, states["period"][of])
        figures = (out, counts, shares, changes, *pitch, concentration)
        for n, *of_frame in zip(*[figure.tolist() for figure in figures], strict=True):
            gains[n] = evidence_of(detectors[n]._evidence, *of_frame)

    states["tail"][at] = windows[:, FRAME_SAMPLES:]
    states["spectra"][at, oldest] = bins[:, COUNTED]
    states["period"][at] = voiced
    weighed += 1
    states["weighed"][at] = weighed
    noise_floor.end_blocks(floors, weighed)
    states["floor"][at] = floors
    return gains


def _echoes(detectors: Sequence[SpeechDetector]) -> Signal | float:
    """The power that an echo may have in each band of each stream at most, shape (n, 14); 0 if there is none."""
    known = [(n, each._echo, each._sent()) for n, each in enumerate(detectors) if each._echo and each._sent]
    if not known:
        return 0.0
    echoes: Signal = np.zeros((len(detectors), spectrum.BANDS))
    echoes[[n for n, _, _ in known]] = push_all([echo for _, echo, _ in known], [sent for _, _, sent in known])
    return echoes
