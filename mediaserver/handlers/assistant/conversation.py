"""A conversation with one caller. In each turn, STT recognises speech, a model answers, and the answer is played.

The first sentences of an answer are played while the model still generates later ones.
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from mediaserver.call import Call, Utterance
from mediaserver.errors import EngineError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.assistant.answer_stream import AnswerStream
from mediaserver.handlers.assistant.fillers import Fillers
from mediaserver.handlers.assistant.history import History
from mediaserver.handlers.assistant.settings import AssistantSettings, AssistantTexts
from mediaserver.handlers.assistant.tool_runner import ConversationEnded, ToolRunner
from mediaserver.handlers.assistant.turn import Turn
from mediaserver.handlers.assistant.turn_detector import TurnDetector
from mediaserver.handlers.assistant.turn_taking import TurnTaking
from mediaserver.handlers.assistant.utterance_playback import UtterancePlayback
from mediaserver.handlers.common.transcript import Speaker, Transcript
from mediaserver.playout.sources.source import Segment
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.sentences import MAX_CHARACTERS, SentenceSplitter

_MAX_TOOL_ROUNDS = 4  # the number of answers in one turn that may call tools; after these, the turn fails
_MAX_RESUMES = 2  # how often a playback that noises interrupt is resumed before the caller's next turn

log = structlog.get_logger()


class Conversation:
    """One conversation, from the greeting to the end. The sound `fallback` is played if TTS fails."""

    def __init__(
        self, settings: AssistantSettings, call: Call, voice: Voice, texts: AssistantTexts[str], fallback: Segment
    ) -> None:
        self._settings, self._call, self._texts = settings, call, texts
        self._voice, self._fallback = voice, fallback
        self._recogniser = call.speech.recogniser(settings.recognition_engine or ())
        self._history = History(texts.instructions)
        self._turn_taking = TurnTaking(settings.barge_in)
        self._transcript = Transcript(call, settings.directory, settings.file, settings.modes)
        self._turn_detector = TurnDetector(call, self._turn_taking, settings.end_silence)
        self._turn: Turn | None = None  # the caller's latest turn
        # The playback that a barge-in stopped; it is kept until it is known if words or a noise were the cause.
        self._interrupted: UtterancePlayback | None = None
        self._fallback_played = False  # whether the fallback sound was played since the caller's latest turn
        self._failures = 0  # the number of failed turns in a row
        self._fillers: Fillers | None = None
        self._began = self._quiet_since = call.now

    async def run(self) -> None:
        """Hold the conversation until the caller hangs up, or a limit or a tool call ends it."""
        tool_runner = ToolRunner(self._settings.tools, self._call, self._turn_taking, self._history, self._speak)
        try:
            with self._turn_detector.listening():
                await self._call.until_exhausted(self._converse(tool_runner))
            raise ConversationEnded("exhausted")
        except ConversationEnded as ended:
            ended.conclude(self._call)
        finally:
            self._interrupted = None  # ends the cycle of references with the playback, so that both are freed
            await self._transcript.close()

    async def _converse(self, tool_runner: ToolRunner) -> None:
        await self._say(self._texts.greeting)
        # Fillers are created after the greeting, so that TTS synthesises the greeting first.
        self._fillers = self._settings.make_fillers(self._call)
        for _ in range(self._settings.max_turns):
            self._turn = turn = await self._next_turn(tool_runner)
            self._history.add_caller(turn.caller)
            self._transcript.add(Speaker.CALLER, turn.caller_line(self._began))
            await self._reply(turn, tool_runner)
        raise ConversationEnded("max_turns")

    # -- listening -----------------------------------------------------------------------------------------------

    async def _next_turn(self, tool_runner: ToolRunner) -> Turn:
        """Wait for the caller's next turn, which is words or keys. ConversationEnded if the caller stays idle."""
        asked, resumed = False, 0
        while True:
            self._fallback_played = False
            seconds = self._quiet_since + self._settings.idle - self._call.now
            detected = await self._turn_detector.next_turn(max(0.0, seconds))  # noises do not extend the idle time
            if detected is None:
                if asked or not self._texts.idle_text:
                    raise ConversationEnded("idle")
                asked = True
                await self._say(self._texts.idle_text)
                continue
            turn = detected if isinstance(detected, Turn) else await self._recognise_turn(detected, tool_runner)
            if turn is not None:
                self._confirm_interruption()
                return turn
            if self._interrupted is not None and resumed < _MAX_RESUMES:
                resumed += 1
                await self._resume(self._interrupted, tool_runner)

    async def _recognise_turn(self, utterance: Utterance, tool_runner: ToolRunner) -> Turn | None:
        """Transcribe an utterance into a turn; None if the utterance has no words, or recognition failed."""
        speech, why = self._call.speech, ""
        try:
            found = await utterance.transcribe(
                self._recogniser, speech.recognition.timeout, language=self._settings.language
            )
        except EngineError as error:
            why = str(error)
        if why:
            self._report_failure("recognition", why)
            self._confirm_interruption()
            await self._say(self._texts.apology)
            await self._count_failure(True, tool_runner)
            return None
        words = " ".join(found.text.split())
        if not words:
            return None
        turn = Turn(words, utterance.last_voice_at - (utterance.end - utterance.start), utterance.last_voice_at)
        turn.mark_step("words", self._call.now)
        return turn

    # -- answering -----------------------------------------------------------------------------------------------

    async def _reply(self, turn: Turn, tool_runner: ToolRunner) -> None:
        try:
            await self._answer_with_tools(turn, tool_runner)
        finally:
            self._report_turn(turn)
        await self._count_failure(turn.failed, tool_runner)

    async def _answer_with_tools(self, turn: Turn, tool_runner: ToolRunner) -> None:
        for _ in range(_MAX_TOOL_ROUNDS):
            calls = await self._speak_answer(turn)
            if not calls or await tool_runner.run_tools(calls):
                return
        self._report_failure("chat", f"the model wants tools used {_MAX_TOOL_ROUNDS} times in a row")
        turn.failed = True
        await self._say(self._texts.apology)

    async def _speak_answer(self, turn: Turn) -> Sequence[ToolCall]:
        """Have the model generate an answer, and play the answer. Returns the answer's tool calls to run."""
        playback = self._new_playback(turn, self._fillers)
        generating = asyncio.create_task(self._generate_answer(playback, turn))
        try:
            await self._play(playback)
        finally:
            generating.cancel()
            await asyncio.wait([generating])
        if not generating.cancelled():
            generating.result()
        self._note_answer(playback, turn)
        return self._tool_calls_of(playback)

    def _tool_calls_of(self, playback: UtterancePlayback) -> Sequence[ToolCall]:
        """The tool calls to run after a playback; none if the caller interrupted it. Also updates the history."""
        if playback.tool_calls and not playback.interrupted:
            self._history.add_tool_calls(playback.heard, playback.tool_calls)
            return playback.tool_calls
        self._remember(playback)
        return ()

    async def _generate_answer(self, playback: UtterancePlayback, turn: Turn) -> None:
        """Stream the model's answer into a playback. If the model fails, add an apology."""
        settings = self._settings
        answer = AnswerStream(self._call, playback, turn, self._splitter(early=True))
        try:
            await answer.generate(self._history.messages, settings.tools.definitions, settings.model)
        except EngineError as error:
            self._report_failure("chat", str(error))
            turn.failed = True
            answer.replace_rest(self._sentences(self._texts.apology))
        finally:
            playback.finish()

    def _note_answer(self, playback: UtterancePlayback, turn: Turn) -> None:
        """Note in the turn what the model answered, and how much of the answer the caller heard."""
        turn.intended.append(playback.text)
        turn.assistant.append(playback.heard)
        turn.interrupted = playback.interrupted
        if playback.began_at is not None:
            turn.mark_step("first_audio", playback.began_at)

    # -- speaking ------------------------------------------------------------------------------------------------

    async def _say(self, text: str) -> None:
        """Speak a text, and add what the caller heard of it to the history."""
        if text:
            self._remember(await self._speak(text))

    async def _speak(self, text: str) -> UtterancePlayback:
        return await self._speak_sentences(self._sentences(text))

    async def _speak_sentences(
        self, sentences: Iterable[str], calls: Sequence[ToolCall] = ()
    ) -> UtterancePlayback:
        playback = self._new_playback()
        playback.tool_calls.extend(calls)
        for sentence in sentences:
            playback.add_sentence(sentence)
        playback.finish()
        await self._play(playback)
        if playback.text:
            self._transcript.add(Speaker.ASSISTANT, playback.transcript_line(self._began, self._call.now))
        return playback

    async def _play(self, playback: UtterancePlayback) -> None:
        """Run `playback` until its end or a barge-in of the caller. If TTS fails, play the fallback sound."""
        with self._turn_taking.speaking(playback.stop):
            await playback.run()
            if playback.failed and not playback.interrupted and not self._fallback_played:
                self._fallback_played = True
                await self._call.play(self._fallback)
        self._quiet_since = self._call.now

    def _remember(self, playback: UtterancePlayback) -> None:
        """Add what the caller heard to the history; after an interruption, only once it is surely no noise."""
        if playback.interrupted:
            self._interrupted = playback
        else:
            self._history.add_assistant(playback.heard)

    async def _resume(self, interrupted: UtterancePlayback, tool_runner: ToolRunner) -> None:
        """Resume a playback that a noise interrupted.

        The sentences that the caller did not hear to their end are played again. If the playback had no sentence
        yet, the model generates the answer again.
        """
        self._interrupted = None
        self._history.add_assistant(interrupted.complete_text)
        again = not interrupted.text
        if not again:
            calls = self._tool_calls_of(await self._speak_sentences(interrupted.unheard, interrupted.tool_calls))
            again = bool(calls) and not await tool_runner.run_tools(calls)
        if again and self._turn is not None:
            await self._reply(self._turn, tool_runner)

    def _confirm_interruption(self) -> None:
        """Add to the history what the caller heard of a playback before words or keys interrupted the playback."""
        if self._interrupted is not None:
            self._history.add_assistant(self._interrupted.heard)
            self._interrupted = None

    def _new_playback(self, turn: Turn | None = None, fillers: Fillers | None = None) -> UtterancePlayback:
        def on_failure(why: str) -> None:
            self._report_failure("speech", why)
            if turn is not None:
                turn.failed = True

        return UtterancePlayback(self._call, self._voice, on_failure, fillers)

    def _splitter(self, early: bool = False) -> SentenceSplitter:
        return SentenceSplitter(
            self._voice.language, min(MAX_CHARACTERS, self._call.speech.settings.max_characters), early
        )

    def _sentences(self, text: str) -> list[str]:
        splitter = self._splitter()
        return splitter.feed(text) + splitter.flush()

    # -- reporting -----------------------------------------------------------------------------------------------

    def _report_turn(self, turn: Turn) -> None:
        turn.ended = self._call.now
        self._call.notify(EventKind.ASSISTANT_TURN, turn.event_data)
        self._transcript.add(Speaker.ASSISTANT, turn.assistant_line(self._began))

    def _report_failure(self, stage: str, why: str) -> None:
        log.warning("assistant failed", stream=self._call.stream.id, stage=stage, why=why)
        self._call.notify(EventKind.ASSISTANT_FAILED, {"stage": stage, "why": why})
        self._transcript.add_failure({"stage": stage, "why": why})

    async def _count_failure(self, failed: bool, tool_runner: ToolRunner) -> None:
        """Count failed turns in a row. At `max_failures`, end the conversation as `on_failure` says."""
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= self._settings.max_failures:
            if self._settings.on_failure == "transfer":
                await tool_runner.transfer("the assistant does not work")
            raise ConversationEnded("failures")
