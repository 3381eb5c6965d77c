"""Plays the assistant's sentences by TTS until a barge-in. Meanwhile the model may generate more sentences."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mediaserver.audio.pcm import FRAME_SAMPLES
from mediaserver.call import Call
from mediaserver.handlers.assistant.fillers import FilledPause, Fillers
from mediaserver.handlers.assistant.history import INTERRUPTED, heard_part
from mediaserver.handlers.assistant.turn import since
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import PlaybackResult, Segment, silence
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesis_queue import Origin
from mediaserver.wire.encapsulation import Encoding

_SENTENCES_AHEAD = 2  # the number of sentences that are synthesised ahead of the sentence that plays
_NO_FALLBACK = silence(0)
# The mean number of 20 ms frames in which one letter is spoken. It is used to estimate the duration of a sentence
# that is not synthesised to its end.
_FRAMES_PER_LETTER = 3.3


class _TimedPlaylist(Playlist):
    """A playlist that calls `on_first_sound` when its first audio is sent, not at the silence of an underrun."""

    def __init__(self, runs: Iterable[Segment], on_first_sound: Callable[[], None]) -> None:
        super().__init__(runs)
        self._on_first_sound: Callable[[], None] | None = on_first_sound

    def _parts(self, encoding: Encoding, skip: int) -> Iterator[Iterable[bytes]]:
        """Yield the playlist's frames in parts. Calls `on_first_sound` before the first part that is no underrun.

        A part is asked for when its first frame is due. The silence of an underrun is a part, too. When it is
        yielded, `underruns` has already counted the underrun.
        """
        underruns = self.underruns
        for part in super()._parts(encoding, skip):
            if self._on_first_sound is not None and self.underruns == underruns:
                self._on_first_sound()
                self._on_first_sound = None
            underruns = self.underruns
            yield part


class _Sentence:
    """One sentence of a playback. `heard` is the text that was played, up to the last whole word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.heard = ""
        self.complete = False
        self.failed = False  # whether TTS failed to speak this sentence

    def note_played(self, heard: PlaybackResult, spoken: SpokenText) -> None:
        """Note how much of the sentence was played.

        `heard` is the result of the sentence's playback. `spoken` is the sentence's audio, as far as it is
        synthesised.
        """
        self.complete = heard.complete and not self.failed
        if self.complete:
            self.heard = self.text
        elif heard.frames and not self.failed:
            frames = sum(sound.samples for sound in spoken.sentences) / FRAME_SAMPLES
            known = len(spoken.sentences) == len(spoken.texts) and all(
                sound.complete for sound in spoken.sentences
            )
            self.heard = heard_part(
                self.text, heard.frames / (frames if known else max(frames, _FRAMES_PER_LETTER * len(self.text)))
            )


class UtterancePlayback:
    """The playback of one text. If TTS fails, `on_failure` is called, and the rest of the text is skipped.

    `began_at` is the time at which the first audio was sent, in seconds of the call's clock. `tool_calls` are the
    model's tool calls to run after the playback. `fillers` play until the first sentence's audio is synthesised.
    """

    def __init__(
        self,
        call: Call,
        voice: Voice,
        on_failure: Callable[[str], None] = lambda why: None,
        fillers: Fillers | None = None,
    ) -> None:
        self._call, self._voice, self._on_failure, self._fillers = call, voice, on_failure, fillers
        # The pause before the first sentence, in which fillers play; None while no playback runs.
        self._pause: FilledPause | None = None
        self._sentences: list[_Sentence] = []
        self._started = 0  # the number of sentences whose playback has begun or is queued
        self._finished = False  # whether all sentences of the text have been added
        self._changed = asyncio.Event()
        self.tool_calls: list[ToolCall] = []
        self.began_at: float | None = None
        self.interrupted = False
        self.failed = False  # whether TTS failed to speak a sentence of the text

    def add_sentence(self, text: str) -> None:
        """Add a sentence to the end of the text."""
        self._sentences.append(_Sentence(text))
        self._changed.set()

    def finish(self) -> None:
        """Let the playback end after the sentences that have been added so far."""
        self._finished = True
        self._changed.set()

    def stop(self) -> None:
        """Stop the playback from the next 20 ms tick on, because the caller interrupts it."""
        self.interrupted = True
        if self._pause is not None:
            self._pause.stop()
        self._call.clear()
        self.finish()

    async def run(self) -> None:
        """Play until all sentences have been played, or the playback is stopped."""
        playing: deque[asyncio.Task[None]] = deque()
        if self._fillers is not None and not self.interrupted:
            self._pause = self._fillers.fill_pause()
        try:
            while (sentence := await self._next()) is not None:
                if len(playing) > _SENTENCES_AHEAD:
                    await playing.popleft()
                playing.append(asyncio.create_task(self._play(sentence)))
            while playing:
                await playing.popleft()
        finally:  # no TaskGroup is used: after a cancellation, it would keep the call's objects in memory for long
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)
            if self._pause is not None:
                await self._pause.close()
                self._pause = None  # ends the cycle of references with the pause's tasks, so that all are freed

    async def _next(self) -> _Sentence | None:
        while self._started == len(self._sentences):
            if self._finished:
                return None
            self._changed.clear()
            await self._changed.wait()
        self._started += 1
        return self._sentences[self._started - 1]

    async def _play(self, sentence: _Sentence) -> None:
        if self.interrupted or self.failed:
            return

        def on_failure(why: str) -> None:
            sentence.failed = True
            if not self.failed:
                self.failed = True
                self._on_failure(why)
                # This stops the playback of the sentences that follow the failed sentence.
                asyncio.get_running_loop().call_soon(self._call.clear)

        stream = self._call.stream
        # Answers to untrusted callers wait in the TTS queue behind all other texts.
        origin = Origin(stream.route, stream.untrusted)
        spoken = self._call.speech.say(sentence.text, self._voice, _NO_FALLBACK, on_failure, origin)
        if self._pause is not None:
            await self._pause.wait_for(spoken)
            if self.interrupted or self.failed:
                self._pause.give_way()
                return
        # The sentence is queued in the event loop's next turn, before the filler is stopped in the same turn.
        playback = asyncio.ensure_future(self._call.play(_TimedPlaylist(spoken, self._on_first_sound)))
        if self._pause is not None:
            self._pause.give_way()
        sentence.note_played(await playback, spoken)

    def _on_first_sound(self) -> None:
        if self.began_at is None:
            self.began_at = self._call.now

    @property
    def text(self) -> str:
        """The text of all sentences of the playback."""
        return " ".join(sentence.text for sentence in self._sentences)

    @property
    def unheard(self) -> list[str]:
        """The sentences that were not played to their end."""
        return [sentence.text for sentence in self._sentences if not sentence.complete]

    @property
    def complete_text(self) -> str:
        """The text of the sentences that were played to their end."""
        return " ".join(sentence.text for sentence in self._sentences if sentence.complete)

    @property
    def heard(self) -> str:
        """The text that the caller heard, with a note if the caller interrupted it; "" if nothing was heard."""
        words = " ".join(sentence.heard for sentence in self._sentences if sentence.heard)
        return f"{words} {INTERRUPTED}" if words and self.interrupted and self.unheard else words

    def transcript_line(self, began: float, ended: float) -> dict[str, Any]:
        """The text and its times, for a line of a transcript that began at `began`; the end was at `ended`."""
        return {
            "text": self.text,
            "heard": self.heard,
            "interrupted": self.interrupted,
            "start_s": since(began, ended if self.began_at is None else self.began_at),
            "end_s": since(began, ended),
        }
