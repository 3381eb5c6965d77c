"""Sentences said to a caller one after another while more of them are thought of, until somebody interrupts."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from mediaserver.audio.pcm import FRAME_SAMPLES
from mediaserver.call import Call
from mediaserver.handlers.assistant.history import INTERRUPTED, begun
from mediaserver.playout.sources.source import PlaybackResult, Playlist, Segment, silence
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesis_queue import Origin
from mediaserver.wire.encapsulation import Encoding

_AHEAD = 2  # sentences that are made while one is heard
_NOTHING = silence(0)
_PACE = 3.3  # frames a letter takes, where a sentence is cut off before its length is known


class _Timed(Playlist):
    """Notes when its first sound goes out, as far as that is not known to be missing."""

    def __init__(self, runs: Iterable[Segment], sounding: Callable[[], None]) -> None:
        super().__init__(runs)
        self._sounding: Callable[[], None] | None = sounding

    def _parts(self, encoding: Encoding, skip: int) -> Iterator[Iterable[bytes]]:
        """A part is asked for when its first frame is due; one that is awaited is silence, counted before it."""
        underruns = self.underruns
        for part in super()._parts(encoding, skip):
            if self._sounding is not None and self.underruns == underruns:
                self._sounding()
                self._sounding = None
            underruns = self.underruns
            yield part


class _Sentence:
    """One that is said; `heard` is what was heard of it, to the last whole word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.heard = ""
        self.complete = False
        self.broken = False  # the engine failed

    def was_heard(self, heard: PlaybackResult, spoken: SpokenText) -> None:
        """So much of it was."""
        self.complete = heard.complete and not self.broken
        if self.complete:
            self.heard = self.text
        elif heard.frames and not self.broken:
            frames = sum(sound.samples for sound in spoken.sentences) / FRAME_SAMPLES
            known = len(spoken.sentences) == len(spoken.texts) and all(
                sound.complete for sound in spoken.sentences
            )
            self.heard = begun(
                self.text, heard.frames / (frames if known else max(frames, _PACE * len(self.text)))
            )


class Saying:
    """What is said in one go. Where speech fails, `failed` is told why, and the rest is not said.

    `began` is the time of its first sound, on the call's clock; `calls` are what is to be done after it.
    """

    def __init__(self, call: Call, voice: Voice, failed: Callable[[str], None] = lambda why: None) -> None:
        self._call, self._voice, self._failed = call, voice, failed
        self._sentences: list[_Sentence] = []
        self._said = 0  # of these: they play, or are to play next
        self._over = False
        self._news = asyncio.Event()
        self.calls: list[ToolCall] = []
        self.began: float | None = None
        self.interrupted = False
        self.broken = False  # speech failed

    def add(self, text: str) -> None:
        """One sentence more."""
        self._sentences.append(_Sentence(text))
        self._news.set()

    def finish(self) -> None:
        """That was all."""
        self._over = True
        self._news.set()

    def stop(self) -> None:
        """Be silent from the next tick on."""
        self.interrupted = True
        self._call.clear()
        self.finish()

    async def run(self) -> None:
        """Until all of it is heard, or it is stopped."""
        playing: deque[asyncio.Task[None]] = deque()
        try:
            while (sentence := await self._next()) is not None:
                if len(playing) > _AHEAD:
                    await playing.popleft()
                playing.append(asyncio.create_task(self._play(sentence)))
            while playing:
                await playing.popleft()
        finally:  # no TaskGroup: cancelled, it leaves a cycle that all of a call hangs on
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)

    async def _next(self) -> _Sentence | None:
        while self._said == len(self._sentences):
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        self._said += 1
        return self._sentences[self._said - 1]

    async def _play(self, sentence: _Sentence) -> None:
        if self.interrupted or self.broken:
            return

        def broke(why: str) -> None:
            sentence.broken = True
            if not self.broken:
                self.broken = True
                self._failed(why)
                asyncio.get_running_loop().call_soon(self._call.clear)  # what follows makes no sense without it

        stream = self._call.stream
        origin = Origin(stream.route, stream.untrusted)  # what a model says is an answer to what its caller says
        spoken = self._call.speech.say(sentence.text, self._voice, _NOTHING, broke, origin)
        heard = await self._call.play(_Timed(spoken, self._sounding))
        sentence.was_heard(heard, spoken)

    def _sounding(self) -> None:
        if self.began is None:
            self.began = self._call.now

    @property
    def text(self) -> str:
        """All that was to be said."""
        return " ".join(sentence.text for sentence in self._sentences)

    @property
    def unheard(self) -> list[str]:
        """The sentences that were not heard to their end."""
        return [sentence.text for sentence in self._sentences if not sentence.complete]

    @property
    def whole(self) -> str:
        """The sentences that were."""
        return " ".join(sentence.text for sentence in self._sentences if sentence.complete)

    @property
    def heard(self) -> str:
        """What was heard, as a model is to be told; "" where that is nothing."""
        words = " ".join(sentence.heard for sentence in self._sentences if sentence.heard)
        return f"{words} {INTERRUPTED}" if words and self.interrupted and self.unheard else words
