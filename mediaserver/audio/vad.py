"""Voice activity detection (VAD): where talkspurts begin and end in 8 kHz audio.

WebRTC's detector, a Gaussian mixture model over six sub-bands, classifies each 20 ms frame as voiced or not. A run
of voiced frames begins a talkspurt, so that a click does not begin one. A longer run of unvoiced frames ends the
talkspurt, so that a breath does not end it.
"""

import webrtcvad

from mediaserver.audio.level.levels import power_dbfs, rms_dbfs
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, Chunker, from_bytes

ONSET_FRAMES = 3  # voiced frames (60 ms) that begin a talkspurt
HANGOVER_FRAMES = 20  # unvoiced frames (400 ms) that end a talkspurt: longer than a plosive's closure
NOISE_FLOOR_DBFS = -55.0  # a frame no louder than this is line noise, whatever its spectrum


class VoiceActivityDetector:
    """The VAD of one stream of 16-bit little-endian, mono PCM at 8 kHz.

    `mode` is WebRTC's aggressiveness: 0 classifies the most audio as speech, 3 the least. A talkspurt begins with
    `onset` voiced frames in a row, and ends with `hangover` unvoiced frames in a row.
    """

    def __init__(self, mode: int = 2, onset: int = ONSET_FRAMES, hangover: int = HANGOVER_FRAMES) -> None:
        self._is_speech = webrtcvad.Vad(mode).is_speech
        self._onset, self._hangover = onset, hangover
        self._chunker = Chunker(FRAME_BYTES)
        self._run = 0  # voiced frames in a row while not `speaking`, or unvoiced frames while `speaking`
        self.speaking = False
        self.frames = 0  # frames classified so far
        self.voiced = 0  # frames within talkspurts
        self.last_voiced_frame = 0  # number of the last voiced frame, counted from 1; 0 before any

    def feed(self, pcm: bytes, tone: bool = False, power: float | None = None) -> bool:
        """Whether the stream is in a talkspurt after this audio, which may have any length.

        `tone` marks the audio as a DTMF tone, which does not count as voice. `power` is the mean square of the
        samples, where it is known already.
        """
        if len(pcm) == FRAME_BYTES and not self._chunker.rest:  # the usual case: one whole frame
            self._classify(pcm, tone, power)
            return self.speaking
        for frame in self._chunker.feed(pcm):
            self._classify(frame, tone, None)
        return self.speaking

    def _classify(self, frame: bytes, tone: bool, power: float | None) -> None:
        voiced = not tone and self._is_speech(frame, SAMPLE_RATE, FRAME_SAMPLES)
        if voiced:
            level = rms_dbfs(from_bytes(frame)) if power is None else power_dbfs(power)
            voiced = level > NOISE_FLOOR_DBFS
        self.frames += 1
        if voiced is self.speaking:
            self._run = 0
        else:
            self._run += 1
            if self._run >= (self._hangover if self.speaking else self._onset):
                self.speaking, self._run = not self.speaking, 0
        if voiced:
            self.last_voiced_frame = self.frames
        self.voiced += self.speaking
