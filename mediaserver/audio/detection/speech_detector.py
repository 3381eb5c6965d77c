"""Detects speech as a caller begins to speak, and nothing else: what stops a prompt that speech may stop.

A voice activity detector such as WebRTC's takes for speech whatever is not quiet: noise, tones, hum, music and the
prompt's own echo. This detector gathers evidence of speech, frame by frame. A frame speaks for speech if it stands
out from the noise floor and from what may be echo, is periodic as a voice is, and changes as a voice does. A frame
of steady partials, as of a tone, hum or a held note, speaks against it. `speech_evidence` has the rules.

The frames of many streams are weighed together, as one numpy operation for all costs little more than for one.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.detection import noise_floor, spectrum
from mediaserver.audio.detection.echo_bound import EchoBound, push_all
from mediaserver.audio.detection.spectrum import BINS, HALF, OVERLAP, Spectrum, band_sums, powers_of
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

_STATES = StateTable(
    [
        ("tail", np.float32, (OVERLAP,)),  # the last samples of the latest frame, backwards
        ("real", np.float32, (2, BINS)),  # the spectra of the two latest frames, in turns
        ("imaginary", np.float32, (2, BINS)),
        ("weighed", np.int64, ()),  # number of frames from which the noise floor was estimated so far
        ("period", np.int32, ()),  # the pitch period of the latest frame in samples; 0 if it was not voiced
        ("silent", np.int32, ()),  # number of silent frames in a row
        *noise_floor.NOISE_FIELDS,
    ]
)


class SpeechDetector:
    """Detects speech in one stream of 16-bit little-endian, mono PCM at 8 kHz.

    `mode` is 0 to 3: at 3, the least audio counts as speech. `sent` returns what was sent to the peer since it was
    last called: whole frames of PCM. What was sent may come back as an echo, which is no speech.
    `sent` is called only for frames in which something stands out from noise.
    """

    _FIRST_FRAMES = 0  # number of frames at a stream's beginning that are judged in another way than later ones

    def __init__(self, mode: int = 2, sent: Callable[[], bytes] | None = None) -> None:
        self._threshold, self._sent = _THRESHOLDS[mode], sent
        self._echo = EchoBound() if sent is not None else None
        self._index = _STATES.add()
        self._reset_noise()
        self._chunker = Chunker(FRAME_BYTES)
        # Whether the audio so far was whole frames, so that `detect_speech` may be given the next one.
        self.at_frame_start = True
        self._evidence = 0.0
        # Whether a frame that is no evidence of speech changes nothing but the number of frames.
        self._at_rest = False
        self.speaking = False  # whether the caller speaks: from enough evidence of speech until none is left
        self.frames = 0  # number of frames received so far
        self.began_frame = 0  # number of the frame, counted from 1, in which the present evidence of speech began

    def __del__(self) -> None:
        _STATES.remove(self._index)

    def _reset_noise(self, *, silent: bool = False) -> None:
        """Forget what is known of the noise. `silent`: take it for 0 instead, until the next call."""
        noise_floor.reset(_STATES.columns, self._index, silent=silent)

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
        frames = self._chunker.feed(pcm)
        self.at_frame_start = not self._chunker.rest
        return frames

    def feed_frame(self, frame: bytes, tone: bool = False, power: float | None = None) -> None:
        """Detect speech in the next whole frame, of 320 bytes."""
        samples = from_bytes(frame)
        if power is None:
            signal: Signal = samples.astype(float)
            power = float(signal.dot(signal)) / FRAME_SAMPLES
        detect_speech([self], samples[None], np.array([power]), [tone])

    def _add_evidence(self, gained: float) -> bool:
        """Add the evidence of speech in the next frame, which is negative if the frame speaks against speech.

        Returns whether `speaking` has changed.
        """
        self.frames += 1
        evidence = self._evidence
        if evidence or gained > 0:
            if not evidence:
                self.began_frame = self.frames
            self._evidence = min(max(0.0, evidence + gained), self._threshold)
        before = self.speaking
        self._decide(gained > 0)
        self._at_rest = not (self._evidence or self.speaking) and self.frames >= self._FIRST_FRAMES
        return self.speaking is not before

    def _decide(self, voiced: bool) -> None:
        """Update `speaking` after a frame; `voiced` tells whether the frame added evidence of speech."""
        if self._evidence == self._threshold:
            self.speaking = True
        elif not self._evidence:
            self.speaking = False


def detect_speech(
    detectors: Sequence[SpeechDetector], frames: Samples, powers: Signal, tones: Sequence[bool]
) -> Collection[int]:
    """Feed the next frame of each of several streams to the stream's detector, with the same effect as its `feed`.

    `frames` has shape (n, 160), int16; `powers` are the mean squares of their samples, and `tones` says which of
    them are DTMF tones. No detector may be listed twice, and none may have been fed an incomplete last frame.
    Returns the indices of the detectors whose `speaking` has changed.
    """
    at = np.array([detector._index for detector in detectors], np.intp)
    if True not in tones:
        return _add_all(detectors, _gains(detectors, at, frames, powers))
    gains = [-AGAINST] * len(detectors)
    rows = [n for n, tone in enumerate(tones) if not tone]
    others = _gains([detectors[n] for n in rows], at[rows], frames[rows], powers[rows])
    for n, gained in zip(rows, others, strict=True):
        gains[n] = gained
    return _add_all(detectors, gains)


def _add_all(detectors: Sequence[SpeechDetector], gains: Sequence[float]) -> list[int]:
    """Add the evidence of speech in the next frame of each stream; most frames of most streams have none."""
    changed = []
    for n, detector in enumerate(detectors):
        gained = gains[n]
        if gained <= 0 and detector._at_rest:
            detector.frames += 1
        elif detector._add_evidence(gained):
            changed.append(n)
    return changed


def _gains(
    detectors: Sequence[SpeechDetector], at: NDArray[np.intp], frames: Samples, powers: Signal
) -> list[float]:
    """The evidence of speech that each frame adds. `at` has the rows of the detectors' states."""
    silent = powers < _SILENT
    if not silent.any():
        _STATES.columns["silent"][at] = 0
        return _weigh_all(detectors, at, frames, powers, None) if len(at) else []
    lasting = _STATES.columns["silent"].take(at) + 1
    lasting *= silent
    _STATES.columns["silent"][at] = lasting
    gains = [-FADING] * len(at)
    news = (lasting <= _SILENCE_KNOWN).nonzero()[0]
    if len(news):
        rows = news.tolist()
        weighed = _weigh_all([detectors[n] for n in rows], at[news], frames[news], powers[news], silent[news])
        for n, gained in zip(rows, weighed, strict=True):
            gains[n] = gained
    return gains


def _weigh_all(
    detectors: Sequence[SpeechDetector],
    at: NDArray[np.intp],
    frames: Samples,
    powers: Signal,
    silent: NDArray[np.bool_] | None,
) -> list[float]:
    """The evidence of speech that each frame adds.

    `at` has the rows of the detectors' states. `silent` says which frames are silent; None if none is.
    """
    states = _STATES.columns
    after = frames[:, FRAME_SAMPLES - HALF :].astype(np.float32)
    before = np.empty((len(at), HALF), np.float32)
    before[:, : HALF - OVERLAP] = frames[:, HALF - OVERLAP - 1 :: -1]
    before[:, HALF - OVERLAP :] = states["tail"].take(at, axis=0)
    if silent is not None:
        after[silent] = before[silent, : HALF - OVERLAP] = 0
    halves = spectrum.fold(before, after)
    bins = spectrum.spectra(halves)
    if silent is not None:
        bins.real[silent] = bins.imaginary[silent] = 0
    bin_powers = powers_of(bins)
    bands = band_sums(bin_powers)
    noise = noise_floor.push_powers(states, at, bands)
    noise *= _OVER_NOISE
    weighed = states["weighed"].take(at)
    oldest = weighed % 2

    gains, voiced = [-FADING] * len(at), np.zeros(len(at), np.int32)
    standing_out = bands > noise
    out = (standing_out.any(axis=1) & (powers > _NOISE_FLOOR)).nonzero()[0]
    if len(out):
        of_bands = bands[out]
        standing_out = of_bands > noise[out] + _echoes([detectors[n] for n in out.tolist()])
        counts = standing_out.sum(axis=1)
        shares = np.vecdot(of_bands, standing_out) / of_bands.sum(axis=1)
        enough = (counts >= _FEWEST_BANDS) & (shares > _SHARE)
        out, standing_out, counts, shares = out[enough], standing_out[enough], counts[enough], shares[enough]
    if len(out):
        of, turns = at[out], oldest[out]
        latest, earliest, before_it = (
            Spectrum(bins.real[out], bins.imaginary[out]),
            Spectrum(states["real"][of, turns], states["imaginary"][of, turns]),
            Spectrum(states["real"][of, 1 - turns], states["imaginary"][of, 1 - turns]),
        )
        changes = spectrum.change(latest, before_it, earliest, standing_out)
        alike, periods = spectrum.pitch(spectrum.Halves(halves.sums[out], halves.differences[out]))
        periodicity = without_noise(alike, shares)
        voiced[out] = periods * (periodicity > VOICED)
        concentration = spectrum.concentration(bin_powers[out])
        figures = (out, counts, shares, changes, periodicity, periods, states["period"][of], concentration)
        for n, *of_frame in zip(*[figure.tolist() for figure in figures], strict=True):
            gains[n] = evidence_of(detectors[n]._evidence, *of_frame)

    states["tail"][at] = after[:, : HALF - OVERLAP - 1 : -1]
    states["real"][at, oldest], states["imaginary"][at, oldest] = bins
    states["period"][at] = voiced
    weighed += 1
    states["weighed"][at] = weighed
    noise_floor.end_blocks(states, at, weighed)
    return gains


def _echoes(detectors: Sequence[SpeechDetector]) -> Signal | float:
    """The power that an echo may have in each band of each stream at most, shape (n, 14); 0 if there is none."""
    known = [(n, each._echo, each._sent()) for n, each in enumerate(detectors) if each._echo and each._sent]
    if not known:
        return 0.0
    echoes: Signal = np.zeros((len(detectors), spectrum.BANDS))
    echoes[[n for n, _, _ in known]] = push_all([echo for _, echo, _ in known], [sent for _, _, sent in known])
    return echoes
