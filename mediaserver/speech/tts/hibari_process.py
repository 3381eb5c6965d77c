"""The worker process of the TTS engine `hibari`: `python -m mediaserver.speech.tts.hibari_process DOWNLOAD_WAIT`.

hibari's package contains one voice. Any other voice is downloaded when a sentence first needs it. The download
runs in a thread, so that the process can go on with sentences of other voices. The first sentence for a voice
waits for the download for at most DOWNLOAD_WAIT seconds. Later sentences fail at once until the download is over.
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

from mediaserver.audio.pcm import SAMPLE_RATE, Signal, pad_to_frames, quantize, to_bytes
from mediaserver.errors import EngineError
from mediaserver.speech.engines import worker_process

_MAX_LOADED = 4  # the maximum number of voices kept in memory, of some 30 MB each
_RETRY = 60.0  # the time in seconds from the start of a failed download until the download may be tried again
_GAIN = 2.0  # the amplification that makes speech about as loud as the prompts shipped with the server
_MAX_PEAK = 0.9  # the highest allowed peak after amplification, as a fraction of full scale
_AUDIBLE = 0.001  # the level, as a fraction of full scale, below which a sample counts as silence
# The seconds of silence that are kept before and after a sentence. hibari itself gives 0.3 and 0.45 seconds.
_LEADING_SILENCE, _TRAILING_SILENCE = 0.04, 0.32


def main() -> None:
    """Answer the serving process's requests for speech until its socket is closed."""
    worker_process.serve_jobs(lambda: VoiceStore(float(sys.argv[1])).synthesise)


class VoiceStore:
    """The voices in memory. Beyond `_MAX_LOADED`, the least recently used voice is freed.

    A sentence waits at most `download_wait` seconds for the download of its voice.
    """

    def __init__(self, download_wait: float) -> None:
        self._download_wait = download_wait
        self._loaded: OrderedDict[str, Hibari] = OrderedDict()
        self._downloads: dict[str, _VoiceDownload] = {}
        self._load(DEFAULT)("Ready.")  # a warm-up, because the first sentence takes ten times as long as others

    def synthesise(self, job: dict[str, Any]) -> bytes:
        """The speech of a sentence: 16-bit PCM at 8 kHz in whole frames. Equal jobs give equal PCM."""
        voice = self._load(job["voice"] or DEFAULT)
        samples = voice(job["text"], speed=job["rate"], seed=0)
        if not len(samples):
            return b""
        signal = soxr.resample(samples.astype(np.float64), voice.sample_rate, SAMPLE_RATE, quality="VHQ")
        return pad_to_frames(to_bytes(quantize(_raise_level(_trim_silence(signal)))))

    def _load(self, name: str) -> Hibari:
        if name not in self._loaded:
            self._download(name)
            self._loaded[name] = Hibari(voice=name)
        self._loaded.move_to_end(name)
        if len(self._loaded) > _MAX_LOADED:
            self._loaded.popitem(last=False)
        return self._loaded[name]

    def _download(self, name: str) -> None:
        """Download a voice's file if this machine lacks it. Raises EngineError if it does not arrive in time."""
        try:
            voice_path(name, download_missing=False)
        except FileNotFoundError:
            download = self._downloads.get(name)
            if download is None or download.retry_due:
                download = self._downloads[name] = _VoiceDownload(name)
                download.wait(self._download_wait)
            download.raise_unless_done()


class _VoiceDownload:
    """The download of a voice's file, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name, self._error, self._began = name, "", time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            voice_path(self._name)
        except Exception as error:  # the download raises many classes of errors, from the network and the disk
            self._error = str(error)

    @property
    def retry_due(self) -> bool:
        """Whether the download has ended, and began long enough ago to be tried again."""
        return not self._thread.is_alive() and time.monotonic() - self._began > _RETRY

    def wait(self, seconds: float) -> None:
        """Wait until the voice is downloaded or its download has failed; return after `seconds` in any case."""
        self._thread.join(seconds)

    def raise_unless_done(self) -> None:
        """Raise EngineError if the download is still running, or has failed."""
        if self._thread.is_alive():
            raise EngineError(f'the voice "{self._name}" is not ready yet: it is being downloaded')
        if self._error:
            raise EngineError(f'the voice "{self._name}" cannot be loaded: {self._error}')


def _trim_silence(signal: Signal) -> Signal:
    """Shorten the silence before and after a sentence's speech, because callers wait while silence plays."""
    audible = np.flatnonzero(np.abs(signal) > _AUDIBLE)
    if not len(audible):
        return signal
    first = audible[0] - round(_LEADING_SILENCE * SAMPLE_RATE)
    last = audible[-1] + round(_TRAILING_SILENCE * SAMPLE_RATE)
    return signal[max(0, first) : last]


def _raise_level(signal: Signal) -> Signal:
    """Amplify a signal by `_GAIN`, or by less if its peak would exceed `_MAX_PEAK`."""
    peak = float(np.abs(signal).max(initial=0.0))
    return signal * min(_GAIN, _MAX_PEAK / peak) if peak else signal


if __name__ == "__main__":
    main()
