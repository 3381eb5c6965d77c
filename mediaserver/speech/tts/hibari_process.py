"""A process that speaks: `python -m mediaserver.speech.tts.hibari_process PATIENCE`, started by `hibari`.

The voice of the package is there at once. Others are fetched from the network when they are first asked for,
beside what is spoken meanwhile; who asks is kept waiting for PATIENCE seconds at most, and only the first one.
"""

import sys
import threading
import time
from collections import OrderedDict
from typing import Any

import numpy as np
import soxr
from hibari import Hibari
from hibari.voices import DEFAULT, voice_path

from mediaserver.audio.pcm import SAMPLE_RATE, Signal, quantize, to_bytes, whole_frames
from mediaserver.errors import EngineError
from mediaserver.speech.engines import worker_process

_VOICES = 4  # kept loaded, some 30 MB each
_RETRY = 60.0  # seconds after which a voice that could not be fetched is tried again
_GAIN, _CEILING = 2.0, 0.9  # brings it near the loudness of the shipped prompts; the highest peak of full scale
_AUDIBLE = 0.001  # of full scale
_BEFORE, _AFTER = 0.04, 0.32  # seconds of silence kept around a sentence: hibari's own are 0.3 and 0.45


def main() -> None:
    """Answer until the input ends."""
    worker_process.serve(lambda: Voices(float(sys.argv[1])).speak)


class Voices:
    """The voices that are loaded."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._loaded: OrderedDict[str, Hibari] = OrderedDict()
        self._fetching: dict[str, _Fetching] = {}
        self._voice(DEFAULT)("Ready.")  # the first sentence takes ten times as long as any other

    def speak(self, request: dict[str, Any]) -> bytes:
        """The sound of a sentence, the same each time: PCM at 8 kHz."""
        voice = self._voice(request["voice"] or DEFAULT)
        sound = voice(request["text"], speed=request["rate"], seed=0)
        if not len(sound):
            return b""
        signal = soxr.resample(sound.astype(np.float64), voice.sample_rate, SAMPLE_RATE, quality="VHQ")
        return whole_frames(to_bytes(quantize(_level(_trim(signal)))))

    def _voice(self, name: str) -> Hibari:
        if name not in self._loaded:
            self._fetch(name)
            self._loaded[name] = Hibari(voice=name)
        self._loaded.move_to_end(name)
        if len(self._loaded) > _VOICES:
            self._loaded.popitem(last=False)
        return self._loaded[name]

    def _fetch(self, name: str) -> None:
        """Have its file here; EngineError where it is not here yet, or cannot be had."""
        try:
            voice_path(name, download_missing=False)
        except FileNotFoundError:
            fetching = self._fetching.get(name)
            if fetching is None or fetching.stale:
                fetching = self._fetching[name] = _Fetching(name)
                fetching.wait(self._patience)
            fetching.check()


class _Fetching:
    """A voice on its way."""

    def __init__(self, name: str) -> None:
        self._name, self._error, self._began = name, "", time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            voice_path(self._name)
        except Exception as error:  # all that may go wrong on the way
            self._error = str(error)

    @property
    def stale(self) -> bool:
        """Whether it is over, and worth another try."""
        return not self._thread.is_alive() and time.monotonic() - self._began > _RETRY

    def wait(self, seconds: float) -> None:
        """Until it is over, or for so long."""
        self._thread.join(seconds)

    def check(self) -> None:
        """EngineError where it is not there."""
        if self._thread.is_alive():
            raise EngineError(f'the voice "{self._name}" is not here yet: it is being downloaded')
        if self._error:
            raise EngineError(f'the voice "{self._name}" cannot be had: {self._error}')


def _trim(signal: Signal) -> Signal:
    """A sentence with no more silence around it than a speaker leaves: that before it would be waited for."""
    audible = np.flatnonzero(np.abs(signal) > _AUDIBLE)
    if not len(audible):
        return signal
    first, last = audible[0] - round(_BEFORE * SAMPLE_RATE), audible[-1] + round(_AFTER * SAMPLE_RATE)
    return signal[max(0, first) : last]


def _level(signal: Signal) -> Signal:
    """Louder, as far as it can be without clipping."""
    peak = float(np.abs(signal).max(initial=0.0))
    return signal * min(_GAIN, _CEILING / peak) if peak else signal


if __name__ == "__main__":
    main()
