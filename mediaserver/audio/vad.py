"""Voice activity: where speech begins and ends in 8 kHz audio.

Each 20 ms frame is judged by WebRTC's detector (a Gaussian mixture over six sub-bands); a run of voiced frames
begins a talk spurt, a longer run of others ends it, so that neither a click nor a breath does.
"""

import webrtcvad

from mediaserver.audio.levels import rms_dbfs
from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_RATE, from_bytes

ONSET_FRAMES = 3  # 60 ms of voice begin a talk spurt
HANGOVER_FRAMES = 20  # 400 ms without end it: longer than the closure of a plosive, shorter than a pause
FLOOR_DBFS = -55.0  # quieter is a line's own noise, whatever its spectrum
MODES = 4  # WebRTC's: 0 takes much for speech, 3 little


class SpeechDetector:
    """Tells talk spurts. One for each stream; `mode` 0 to 3 is how sure it wants to be. `onset` and `hangover` are
    the frames in a row with and without voice that begin and end one.
    """

    def __init__(self, mode: int = 2, onset: int = ONSET_FRAMES, hangover: int = HANGOVER_FRAMES) -> None:
        self._is_voice = webrtcvad.Vad(mode).is_speech
        self._onset, self._hangover = onset, hangover
        self._rest = b""
        self._run = 0  # frames in a row that speak against the present state
        self.speaking = False
        self.frames = 0  # judged so far
        self.voiced = 0  # of these, within talk spurts
        self.last_voice = 0  # those until the last one with voice, that included

    def feed(self, pcm: bytes, tone: bool = False) -> bool:
        """Whether somebody is speaking after this audio, of any length; `tone`: it is known to be a key's."""
        pcm = self._rest + pcm if self._rest else pcm
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        for at in range(0, whole, FRAME_BYTES):
            self._judge(pcm[at : at + FRAME_BYTES], tone)
        self._rest = pcm[whole:]
        return self.speaking

    def _judge(self, frame: bytes, tone: bool) -> None:
        voice = not tone and self._is_voice(frame, SAMPLE_RATE) and rms_dbfs(from_bytes(frame)) > FLOOR_DBFS
        self._run = self._run + 1 if voice is not self.speaking else 0
        if self._run >= (self._hangover if self.speaking else self._onset):
            self.speaking, self._run = not self.speaking, 0
        self.frames += 1
        if voice:
            self.last_voice = self.frames
        self.voiced += self.speaking
