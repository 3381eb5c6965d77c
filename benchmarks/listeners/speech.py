"""What listeners say: the same speech for all of them, a frame every 20 ms, a slot of listeners at a time."""

import ssl
import wave
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from benchmarks.yardsticks import SLOTS
from mediaserver.audio import g711
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, PTIME
from mediaserver.transport.masking import mask
from mediaserver.wire import rtp, websocket

Send = Callable[[bytes], int]

# The formats that are said, each with the bytes of its messages. Peers that dial a server say 20 ms of linear PCM,
# bare or as RTP; VoIPBIN, which a server dials, says µ-law.
PCM, RTP, MULAW = "pcm", "rtp", "mulaw"
SAID_BYTES = {PCM: FRAME_BYTES, RTP: 332, MULAW: FRAME_SAMPLES}

_KEY = bytes.fromhex("9d1b66e2")  # a client's key should be random; to unmask, one costs as much as another
_WORDS = Path(__file__).resolve().parent.parent.parent / "prompts" / "welcome.wav"
_STEP = PTIME / SLOTS


class Speech:
    """The messages of a speech that begins again when it is over. `masked` is for what a client says."""

    def __init__(self, words: str, *, masked: bool) -> None:
        self._words, self._masked = words, masked
        with wave.open(str(_WORDS)) as file:
            pcm: bytes = file.readframes(file.getnframes())
        self._frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]
        self.message = lru_cache(maxsize=2)(self._message)  # the slots of one ptime say the same

    def payload(self, number: int) -> bytes:
        """What the message of a number holds."""
        pcm = self._frames[number % len(self._frames)]
        if self._words == MULAW:
            return g711.mulaw_compand(pcm)
        if self._words == RTP:
            timestamp = number * FRAME_SAMPLES & 0xFFFFFFFF
            return rtp.serialize(rtp.Packet(rtp.PayloadType.L16, number & 0xFFFF, timestamp, 0, pcm))
        return pcm

    def _message(self, number: int) -> bytes:
        message = websocket.binary(self.payload(number))
        return mask(message, _KEY) if self._masked else message


class Talkers:
    """Listeners that talk, each in one of the slots of every 20 ms. What is late is caught up.

    The speech began at the time `began`: whoever joins later says what is said by then.
    """

    def __init__(self, speech: Speech, began: float) -> None:
        self._message = speech.message
        self._slots: list[list[Send]] = [[] for _ in range(SLOTS)]
        self._began, self._step = began, 0
        self.said = 0  # messages
        self.unheard = 0  # talkers who fell silent, because the server took nothing more of what they said

    def add(self, send: Send) -> None:
        """Another talker, in the emptiest slot."""
        min(self._slots, key=len).append(send)

    def talk(self, now: float) -> float:
        """Say all that is due at the time `now`. Returns the time at which more is due."""
        due = int((now - self._began) / _STEP) + 1
        for number, slot in (divmod(step, SLOTS) for step in range(self._step, due)):
            message, talkers = self._message(number), self._slots[slot]
            for send in [send for send in talkers if not self._say(send, message)]:
                talkers.remove(send)
        self._step = due
        return self._began + due * _STEP

    def _say(self, send: Send, message: bytes) -> bool:
        """Send a message. Returns whether the talker may go on; after half a message nothing more may follow."""
        try:
            if send(message) == len(message):
                self.said += 1
                return True
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except OSError:  # the stream is over, which is told elsewhere
            return False
        self.unheard += 1
        return False
