"""Voice activity detection (VAD): where talkspurts begin and end in 8 kHz audio.

A talkspurt begins with enough evidence of speech (`detection.speech_detector`), which no click, tone or noise
gives. Only many frames in a row without voice end a talkspurt, so that a breath does not end it.
"""

from collections.abc import Callable

from mediaserver.audio.detection.speech_detector import SpeechDetector

HANGOVER_FRAMES = 20  # frames without voice (400 ms) that end a talkspurt: longer than a plosive's closure
# The evidence of speech that begins a talkspurt, by mode. Less is needed than to stop a prompt: a short word must
# not be missed, while noise that is taken for a word does less harm. The first frames of a tone are, by mistake,
# evidence of almost 2.5.
_ONSETS = (1.3, 1.9, 2.5, 3.3)


class VoiceActivityDetector(SpeechDetector):
    """The VAD of one stream of 16-bit little-endian, mono PCM at 8 kHz: `speaking` within talkspurts.

    `mode` is the aggressiveness: 0 takes the most audio for speech, 3 the least. A talkspurt ends with `hangover`
    frames in a row without voice. `sent` returns the audio that was sent to the peer: see `SpeechDetector`. While
    `may_echo` returns True, a talkspurt begins only with as much evidence of speech as `SpeechDetector` requires.
    """

    # The first frames are judged as if their noise were 0: a stream may begin amid a word.
    _FIRST_FRAMES = 12

    def __init__(
        self,
        mode: int = 2,
        hangover: int = HANGOVER_FRAMES,
        sent: Callable[[], bytes] | None = None,
        may_echo: Callable[[], bool] = bool,
    ) -> None:
        super().__init__(mode, sent)
        self._reset_noise(silent=True)
        self._onset, self._hangover, self._may_echo = _ONSETS[mode], hangover, may_echo
        self.voiced = 0  # number of frames within talkspurts so far
        self.last_voiced_frame = 0  # number of the last voiced frame, counted from 1; 0 before the first

    def _decide(self, voiced: bool) -> None:
        if self.frames == self._FIRST_FRAMES:
            self._reset_noise()
        if voiced:
            self.last_voiced_frame = self.frames
        if self.speaking:
            self.speaking = self.frames - self.last_voiced_frame < self._hangover
        elif voiced and self._evidence >= self._onset:
            self.speaking = self._evidence == self._threshold or not self._may_echo()
        self.voiced += self.speaking
