"""A conversation with one caller: they speak, are understood, and hear an answer while it is being thought of."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import structlog

from mediaserver.call import Call, Utterance
from mediaserver.errors import EngineError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.assistant.history import INTERRUPTED, History
from mediaserver.handlers.assistant.tool_runner import Errands, Over
from mediaserver.handlers.assistant.transcript import Transcript
from mediaserver.handlers.assistant.turn import Turn
from mediaserver.handlers.assistant.turn_detector import Ears
from mediaserver.handlers.assistant.turn_taking import Floor
from mediaserver.handlers.assistant.utterance_playback import Saying
from mediaserver.playout.sources.source import Segment
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.markdown import strip_markdown
from mediaserver.speech.tts.sentences import MAX_CHARACTERS, SentenceSplitter

if TYPE_CHECKING:
    from mediaserver.handlers.assistant.handler import Assistant

_ROUNDS = 4  # answers in one turn that want tools used
_RESUMED = 2  # times that an answer goes on after a noise

log = structlog.get_logger()
T = TypeVar("T")


class Words(NamedTuple, Generic[T]):
    """The texts of an assistant, each with the caller's values in it, or a place for them."""

    instructions: T
    greeting: T
    idle_text: T
    apology: T


class Conversation:
    """From the greeting to the end. `fallback` is heard where speech fails."""

    def __init__(
        self, settings: "Assistant", call: Call, voice: Voice, words: Words[str], fallback: Segment
    ) -> None:
        self._settings, self._call, self._words = settings, call, words
        self._voice, self._fallback = voice, fallback
        self._recogniser = call.speech.recogniser(settings.recognition_engine or "")
        self._history = History(words.instructions)
        self._floor = Floor(settings.barge_in)
        self._transcript = Transcript(settings.directory, settings.file, call, settings.modes)
        self._ears = Ears(call, self._floor, settings.end_silence)
        self._turn: Turn | None = None  # the last
        self._cut_off: Saying | None = None  # was interrupted, by what is not known yet
        self._fell_back = False  # since the caller was last listened to
        self._failures = 0  # in a row
        self._began = self._quiet_since = call.now

    async def run(self) -> None:
        """Until somebody hangs up."""
        settings, call = self._settings, self._call
        errands = Errands(settings.tools, call, self._floor, self._history, self._speak)
        try:
            with self._ears.open():
                await self._converse(errands)
        except Over as over:
            over.conclude(call)
        finally:
            self._cut_off = None  # or it would refer to itself
            await self._transcript.close()

    async def _converse(self, errands: Errands) -> None:
        await self._say(self._words.greeting)
        for _ in range(self._settings.max_turns):
            self._turn = turn = await self._hear(errands)
            self._history.caller(turn.caller)
            self._transcript.add("caller", turn.said(self._began))
            await self._reply(turn, errands)
        raise Over("max_turns")

    # -- listening -----------------------------------------------------------------------------------------------

    async def _hear(self, errands: Errands) -> Turn:
        """The next that the caller says in words, or by keys."""
        asked, resumed = False, 0
        while True:
            self._fell_back = False
            seconds = self._quiet_since + self._settings.idle - self._call.now
            heard = await self._ears.next(max(0.0, seconds))  # noises do not put it off
            if heard is None:
                if asked or not self._words.idle_text:
                    raise Over("idle")
                asked = True
                await self._say(self._words.idle_text)
                continue
            turn = heard if isinstance(heard, Turn) else await self._understand(heard, errands)
            if turn is not None:
                self._settle()
                return turn
            if self._cut_off is not None and resumed < _RESUMED:
                resumed += 1
                await self._resume(self._cut_off, errands)

    async def _understand(self, utterance: Utterance, errands: Errands) -> Turn | None:
        """An utterance as a turn, None where there are no words in it."""
        speech, why = self._call.speech, ""
        try:
            found = await utterance.transcribe(
                self._recogniser, speech.recognition.timeout, language=self._settings.language
            )
        except EngineError as error:
            why = str(error)
        if why:
            self._fail("recognition", why)
            self._settle()
            await self._say(self._words.apology)
            await self._give_up_after(True, errands)
            return None
        words = " ".join(found.text.split())
        if not words:
            return None
        turn = Turn(words, utterance.last_voice_at - (utterance.end - utterance.start), utterance.last_voice_at)
        turn.reached("words", self._call.now)
        return turn

    # -- answering -----------------------------------------------------------------------------------------------

    async def _reply(self, turn: Turn, errands: Errands) -> None:
        try:
            await self._answer(turn, errands)
        finally:
            self._tell(turn)
        await self._give_up_after(turn.failed, errands)

    async def _answer(self, turn: Turn, errands: Errands) -> None:
        for _ in range(_ROUNDS):
            calls = await self._say_an_answer(turn)
            if not calls or await errands.run(calls):
                return
        self._fail("chat", f"the model wants tools used {_ROUNDS} times in a row")
        turn.failed = True
        await self._say(self._words.apology)

    async def _say_an_answer(self, turn: Turn) -> Sequence[ToolCall]:
        """Have an answer heard; the tools that it wants used."""
        saying = self._saying(turn)
        thinking = asyncio.create_task(self._think(saying, turn))
        try:
            await self._heard(saying)
        finally:
            thinking.cancel()
            await asyncio.wait([thinking])
        if not thinking.cancelled():
            thinking.result()
        self._note(saying, turn)
        return self._calls_after(saying)

    def _calls_after(self, saying: Saying) -> Sequence[ToolCall]:
        """The tools to be used after something that was said, which the model is told."""
        if saying.calls and not saying.interrupted:
            self._history.called(saying.heard, saying.calls)
            return saying.calls
        self._remember(saying)
        return ()

    async def _think(self, saying: Saying, turn: Turn) -> None:
        """Have an answer made, each sentence said as soon as it is there."""
        call, settings, calls = self._call, self._settings, saying.calls
        splitter = self._splitter(early=True)
        try:
            answer = call.speech.chat.stream_answer(self._history.messages, settings.tools.offered, settings.model)
            async with contextlib.aclosing(answer) as pieces:
                async for piece in pieces:
                    turn.reached("first_delta", call.now)
                    if isinstance(piece, ToolCall):
                        calls.append(piece)
                        continue
                    for sentence in splitter.feed(piece):
                        self._add(saying, turn, sentence)
            for sentence in splitter.flush():
                self._add(saying, turn, sentence)
            if not saying.text and not calls:
                raise EngineError("there is no word in the answer")
        except EngineError as error:
            calls.clear()
            self._fail("chat", str(error))
            turn.failed = True
            for sentence in [*splitter.flush(), *self._sentences(self._words.apology)]:
                self._add(saying, turn, sentence)
        finally:
            saying.finish()

    def _add(self, saying: Saying, turn: Turn, sentence: str) -> None:
        spoken = strip_markdown(sentence.replace(INTERRUPTED, ""))
        if any(character.isalnum() for character in spoken):
            turn.reached("first_sentence", self._call.now)
            saying.add(spoken)

    def _note(self, saying: Saying, turn: Turn) -> None:
        """What was heard of an answer."""
        turn.intended.append(saying.text)
        turn.assistant.append(saying.heard)
        turn.interrupted = saying.interrupted
        if saying.began is not None:
            turn.reached("first_audio", saying.began)

    # -- speaking ------------------------------------------------------------------------------------------------

    async def _say(self, text: str) -> None:
        """Have a text heard, and the model know of it."""
        if text:
            self._remember(await self._speak(text))

    async def _speak(self, text: str) -> Saying:
        return await self._speak_all(self._sentences(text))

    async def _speak_all(self, sentences: Iterable[str], calls: Sequence[ToolCall] = ()) -> Saying:
        saying = self._saying()
        saying.calls.extend(calls)
        for sentence in sentences:
            saying.add(sentence)
        saying.finish()
        await self._heard(saying)
        if saying.text:
            facts = {"text": saying.text, "heard": saying.heard, "interrupted": saying.interrupted}
            self._transcript.add("assistant", facts)
        return saying

    async def _heard(self, saying: Saying) -> None:
        """Until all of it is heard, or the caller interrupts."""
        with self._floor.held(saying.stop):
            await saying.run()
            if saying.broken and not saying.interrupted and not self._fell_back:
                self._fell_back = True
                await self._call.play(self._fallback)
        self._quiet_since = self._call.now

    def _remember(self, saying: Saying) -> None:
        """What was heard is remembered; of what was interrupted, as soon as it is known by what."""
        if saying.interrupted:
            self._cut_off = saying
        else:
            self._history.assistant(saying.heard)

    async def _resume(self, cut_off: Saying, errands: Errands) -> None:
        """It was no word that interrupted: go on with the sentence that was broken, or think again."""
        self._cut_off = None
        self._history.assistant(cut_off.whole)
        again = not cut_off.text
        if not again:
            calls = self._calls_after(await self._speak_all(cut_off.unheard, cut_off.calls))
            again = bool(calls) and not await errands.run(calls)
        if again and self._turn is not None:
            await self._reply(self._turn, errands)

    def _settle(self) -> None:
        """It was the caller who interrupted: the model is told of what was heard until then."""
        if self._cut_off is not None:
            self._history.assistant(self._cut_off.heard)
            self._cut_off = None

    def _saying(self, turn: Turn | None = None) -> Saying:
        def failed(why: str) -> None:
            self._fail("speech", why)
            if turn is not None:
                turn.failed = True

        return Saying(self._call, self._voice, failed)

    def _splitter(self, early: bool = False) -> SentenceSplitter:
        return SentenceSplitter(
            self._voice.language, min(MAX_CHARACTERS, self._call.speech.settings.max_characters), early
        )

    def _sentences(self, text: str) -> list[str]:
        splitter = self._splitter()
        return splitter.feed(text) + splitter.flush()

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell(self, turn: Turn) -> None:
        turn.ended = self._call.now
        self._call.notify(EventKind.ASSISTANT_TURN, turn.facts)
        self._transcript.add("assistant", turn.answered(self._began))

    def _fail(self, stage: str, why: str) -> None:
        log.warning("assistant failed", stream=self._call.stream.id, stage=stage, why=why)
        self._call.notify(EventKind.ASSISTANT_FAILED, {"stage": stage, "why": why})
        self._transcript.add("failure", {"stage": stage, "why": why})

    async def _give_up_after(self, failed: bool, errands: Errands) -> None:
        """Count failures in a row; Over where that was the last."""
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= self._settings.max_failures:
            if self._settings.on_failure == "transfer":
                await errands.transfer("the assistant does not work")
            raise Over("failures")
