"""How often a detector stops a prompt for nothing, and how soon it does for a voice."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import webrtcvad

from benchmarks.barge_in.signals import at_level, echo, noise, onset_of, through_mulaw
from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.level.levels import rms_dbfs
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, PTIME, SAMPLE_RATE, Signal, from_bytes, to_bytes

_VOICE_DBFS = -26.0  # active level (ITU-T P.56): the nominal level of a telephone
_BEFORE = 2.0  # seconds of noise, and perhaps of echo, before a voice
_AFTER = 2.0  # seconds of a voice within which it must be detected
_DELAYS = (20, 60, 100, 205, 400)  # ms of an echo
_ONSET_FRAMES = 3  # voiced frames in a row of WebRTC's, which begin speech
_LINE_NOISE_DBFS = -55.0  # a frame no louder than this is noise to WebRTC's as well
_EARLY = 0.02  # seconds before the onset in which detection is no false stop


class Detector(Protocol):
    """What tells frame by frame whether somebody speaks."""

    def feed(self, pcm: bytes) -> bool:
        """Whether somebody speaks after this audio."""


class WebRtcVad:
    """WebRTC's detector, a Gaussian mixture model over six sub-bands: somebody speaks from 60 ms of voice on."""

    def __init__(self) -> None:
        self._is_speech = webrtcvad.Vad(2).is_speech
        self._run = 0  # voiced frames in a row

    def feed(self, pcm: bytes) -> bool:
        """Whether somebody speaks after this frame."""
        voiced = self._is_speech(pcm, SAMPLE_RATE, FRAME_SAMPLES) and rms_dbfs(from_bytes(pcm)) > _LINE_NOISE_DBFS
        self._run = self._run + 1 if voiced else 0
        return self._run >= _ONSET_FRAMES


Detectors = dict[str, Callable[[Callable[[], bytes]], Detector]]
DETECTORS: Detectors = {
    "WebRTC's VAD": lambda sent: WebRtcVad(),
    "speech detector": lambda sent: SpeechDetector(sent=sent),
}


class Times(NamedTuple):
    """How long detection took, of one detector and one voice: seconds from the onset of each that was detected."""

    detected: list[float]
    missed: int  # not within two seconds, or the prompt was stopped before there was any voice

    def percentile(self, share: float) -> float:
        """Seconds within which so many per cent of all were detected; infinite if fewer were."""
        every = np.sort([*self.detected, *[np.inf] * self.missed])
        return float(every[max(0, int(np.ceil(len(every) * share / 100)) - 1)])


def _frames(signal: Signal) -> Iterator[bytes]:
    pcm = to_bytes(signal.astype(np.int16))
    return (pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES))


def stops(heard: Signal, sent: Signal | None, new: Callable[[Callable[[], bytes]], Detector]) -> Iterator[float]:
    """When a prompt is stopped, in seconds. After each stop another prompt begins."""
    playing: list[bytes] = []

    def taken() -> bytes:
        pcm = b"".join(playing)
        playing.clear()
        return pcm

    out = _frames(sent) if sent is not None else iter(())
    detector = new(taken)
    for number, frame in enumerate(_frames(heard), 1):
        playing.append(next(out, b""))
        if detector.feed(frame):
            yield number * PTIME
            detector = new(taken)


def false_stops(heard: Signal, sent: Signal | None) -> list[int]:
    """How often a sound that is no voice stops prompts, by each detector."""
    line = through_mulaw(heard)
    return [sum(1 for _ in stops(line, sent, new)) for new in DETECTORS.values()]


def detection_times(
    voices: Sequence[Signal], snr: float, prompts: Sequence[Signal] = (), loss_db: float = 20.0
) -> list[Times]:
    """How soon the detectors find voices over noise; with `prompts`, during the echo of one of them as well."""
    rng = np.random.default_rng(round(snr))
    found: list[Times] = [Times([], 0) for _ in DETECTORS]
    for number, voice in enumerate(voices):
        spoken = at_level(voice, _VOICE_DBFS)
        before = round(_BEFORE * SAMPLE_RATE) + int(rng.integers(FRAME_SAMPLES))
        onset = (before + onset_of(spoken)) / SAMPLE_RATE
        end = onset_of(spoken) + round((_AFTER + 0.1) * SAMPLE_RATE)
        heard = np.concatenate((np.zeros(before), spoken[:end], np.zeros(SAMPLE_RATE)))
        heard += noise(_VOICE_DBFS - snr, len(heard), rng)
        sent = None
        if prompts:
            prompt = prompts[number % len(prompts)]
            start = int(rng.integers(len(prompt) - len(heard)))
            sent = prompt[start : start + len(heard)]
            heard += echo(sent, _DELAYS[number % len(_DELAYS)], loss_db)
        line = through_mulaw(heard)
        for position, new in enumerate(DETECTORS.values()):
            first = next(stops(line, sent, new), np.inf) - onset
            if -_EARLY <= first <= _AFTER:
                found[position].detected.append(first)
            else:
                found[position] = found[position]._replace(missed=found[position].missed + 1)
    return found
