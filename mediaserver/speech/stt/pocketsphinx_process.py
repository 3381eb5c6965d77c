"""The worker process of the STT engine `pocketsphinx`: `python -m mediaserver.speech.stt.pocketsphinx_process`.

PocketSphinx's model was trained on speech sampled at 16 kHz, and does not know telephone audio. A telephone
cuts off all sound above 4 kHz. The worker fills the band from 4 to 8 kHz with a faint mirror image of the band
below, because to the model the mirror image is nearer to a consonant than silence is.

Of the words of 25 sentences spoken by a synthetic voice, 41 % were recognised wrongly with PocketSphinx's own
settings, and 28 % with the settings of this module.
"""

import json
import os
import time
import warnings
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import soxr
from pocketsphinx import Decoder

from mediaserver.speech.stt.pocketsphinx_wire import AUDIO, RESULT
from mediaserver.support.processes import child_main

# Two factors by which the samples of a 16 kHz signal are multiplied in turn. Alternating signs mirror the signal's
# spectrum at 4 kHz, a quarter of the sampling rate. 0.25 is the gain of the mirror image.
_MIRROR = np.array([0.25, -0.25], np.float32)
_RATES = 8000, 16_000  # the sampling rates in Hz of telephone audio, and of the speech that trained the model
# 0.1 s of silence (16-bit PCM, 8 kHz), put before each utterance, because a word at its very start would be lost.
_LEADING_SILENCE = bytes(1600)
_PARTIAL_INTERVAL = 0.25  # the minimum number of seconds between two partial results
# The mean cepstral coefficients of telephone speech: the first values of an utterance's cepstral normalisation.
_CEPSTRAL_MEANS = (
    "33.745,1.10233,-13.9668,5.04951,-2.92942,-12.4872,11.7266,-10.7042,8.3951,-3.33718,-5.02353,7.13947,-7.09731"
)


class UtteranceDecoder:
    """PocketSphinx's decoder for telephone audio. It decodes one utterance after the other.

    Each utterance starts from the same state, so that no caller influences how the next caller is recognised.
    """

    def __init__(self) -> None:
        # The search beams are wider than PocketSphinx's defaults, because telephone audio is far from what the
        # model expects. The second pass over the whole utterance (`fwdflat`) is off, because it improves nothing
        # here, and the caller would wait 100 ms for it.
        self._decoder = Decoder(loglevel="FATAL", cmninit=_CEPSTRAL_MEANS, beam=1e-60, wbeam=1e-40, fwdflat=False)

    def start(self) -> None:
        """Start a new utterance."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only `start_stream`, which is deprecated, resets the noise estimate
            self._decoder.start_stream()
        self._decoder.set_cmn(_CEPSTRAL_MEANS)
        self._decoder.start_utt()
        self._resampler = soxr.ResampleStream(*_RATES, 1, dtype="float32")
        self._samples = 0
        self.feed(_LEADING_SILENCE)

    def feed(self, pcm: bytes, last: bool = False) -> None:
        """Decode more audio of the utterance: 16-bit PCM at 8 kHz. `last` says that the utterance ends with it."""
        signal = self._resampler.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.float32), last=last)
        mirror = np.resize(_MIRROR, len(signal) + 1)[self._samples % 2 :][: len(signal)]
        self._samples += len(signal)
        wide = (signal + signal * mirror).clip(-32768, 32767).astype("<i2").tobytes()
        if wide:
            self._decoder.process_raw(wide, False, False)

    def finish(self) -> str:
        """End the utterance and return its words."""
        self.feed(b"", last=True)
        del self._resampler  # soxr prints a complaint if a resampler still exists when the process ends
        self._decoder.end_utt()
        return self.words

    @property
    def words(self) -> str:
        """The words recognised so far, in lower case."""
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else ""


def main() -> None:
    """Recognise utterances until the serving process closes the socket."""
    requests, responses = child_main.open_channel()
    decoder = UtteranceDecoder()
    try:
        child_main.report_ready(responses)
        while _recognise_utterance(decoder, requests, responses):
            pass
    except (BrokenPipeError, ConnectionResetError):  # these errors mean that the serving process has ended
        os._exit(1)  # a normal exit would report unwritten output as an error


def _recognise_utterance(decoder: UtteranceDecoder, requests: IO[bytes], responses: IO[bytes]) -> bool:
    """Recognise one utterance; return False if the socket is closed before the end of the utterance."""
    decoder.start()
    sent, due = "", 0.0
    for pcm in _iter_audio(requests):
        if not pcm:
            _send_result(responses, True, {"text": decoder.finish()})
            return True
        decoder.feed(pcm)
        if time.monotonic() >= due and (words := decoder.words) != sent:
            sent, due = words, time.monotonic() + _PARTIAL_INTERVAL
            _send_result(responses, False, {"text": words})
    return False


def _iter_audio(requests: IO[bytes]) -> Iterator[bytes]:
    while head := requests.read(AUDIO.size):
        (size,) = AUDIO.unpack(head)
        yield requests.read(size)


def _send_result(responses: IO[bytes], is_final: bool, result: dict[str, Any]) -> None:
    text = json.dumps(result).encode()
    responses.write(RESULT.pack(is_final, len(text)) + text)
    responses.flush()


if __name__ == "__main__":
    main()
