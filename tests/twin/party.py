"""What every twin has: a far end that speaks on one schedule, and notes of what came and went."""

import asyncio
from collections.abc import Callable

from tests.timing import PATIENCE, eventually
from tests.twin.codecs import pcm_bytes
from tests.twin.far_end import FarEnd, Utterance, utterance

_TRIES = 10
_ECHO_FRAMES = 100  # frames after the end of a sound within which its echo, a second late, is over


class Party:
    """One side of a stream.

    `said_at` is the monotonic time of each frame sent, `heard_at` of each that was heard. `errors` says what the
    real one would have dropped or choked on, `ended` why the stream is over.
    """

    def __init__(self, codec: str = "slin", ptime_ms: int = 20) -> None:
        self.started_at: float | None = None  # monotonic; frame n is due at started_at + n * ptime
        self.heard_at: list[float] = []
        self.said_at: list[float] = []
        self.errors: list[str] = []
        self.ended: str | None = None
        self.far_end = FarEnd()
        self._frame_bytes = pcm_bytes(codec, ptime_ms)
        self._heard, self._said = bytearray(), bytearray()
        self._ending = asyncio.Event()
        self._over = asyncio.Event()

    def say(self, pcm: bytes, paced: bool = True) -> Utterance:
        """Speak behind what is being said, frame by frame, the last one padded with silence.

        Not `paced`: all at once, when its turn comes.
        """
        return self._add("voice", utterance(pcm, paced, self._frame_bytes))

    async def say_until_echoed(self, pcm: bytes, echoed: Callable[[], bool]) -> None:
        """Speak until it is echoed whole. A late machine cuts an echo in two, so there are several tries."""
        for _ in range(_TRIES):
            self.say(pcm)
            await eventually(lambda: not self.speaking)
            after = len(self.heard_at) + _ECHO_FRAMES
            await eventually(lambda: echoed() or len(self.heard_at) > after)  # noqa: B023
            if echoed():
                return
        raise AssertionError("it was never echoed whole")

    def say_file(self, pcm: bytes) -> Utterance:
        """Speak as a file that Asterisk plays: its last message is short. Seen: 116 and 138 bytes of µ-law."""
        return self._add("voice", utterance(pcm, True, self._frame_bytes, padded=False))

    async def over(self) -> str:
        """Wait for the end of the stream and of its connection; why it ended."""
        await asyncio.wait_for(self._over.wait(), PATIENCE)
        assert self.ended is not None
        return self.ended

    @property
    def said(self) -> bytes:
        """PCM as an exact receiver hears it, after the codec, with the silence between."""
        return bytes(self._said)

    @property
    def heard(self) -> bytes:
        """What came from the client, as it was heard."""
        return bytes(self._heard)

    @property
    def speaking(self) -> bool:
        """Whether anything that was said or pressed is still to be sent."""
        return self.far_end.speaking

    def end(self, why: str) -> bool:
        """The stream is over. Only the first reason counts; whether this was it."""
        if self.ended is not None:
            return False
        self.ended = why
        self._ending.set()
        return True

    def _add(self, voice: object, said: Utterance) -> Utterance:
        self.far_end.add(voice, said)
        return said
