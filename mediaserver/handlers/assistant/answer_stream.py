"""One answer of the chat model, which is added to a playback sentence by sentence while the model generates it."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mediaserver.call import Call
from mediaserver.errors import EngineError
from mediaserver.handlers.assistant.history import INTERRUPTED
from mediaserver.handlers.assistant.turn import Turn
from mediaserver.handlers.assistant.utterance_playback import UtterancePlayback
from mediaserver.speech.llm.chat import Message, ToolCall
from mediaserver.speech.text.markdown import strip_markdown
from mediaserver.speech.tts.sentences import SentenceSplitter


class AnswerStream:
    """Streams one answer of the model into `playback`, sentence by sentence, and notes its latencies in `turn`."""

    def __init__(self, call: Call, playback: UtterancePlayback, turn: Turn, splitter: SentenceSplitter) -> None:
        self._call, self._playback, self._turn, self._splitter = call, playback, turn, splitter

    async def generate(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], model: str) -> None:
        """Have the model answer `messages`. Raises EngineError if the model fails, or its answer is empty."""
        answer = self._call.speech.chat.stream_answer(messages, tools, model, self._resume)
        async with contextlib.aclosing(answer) as pieces:
            async for piece in pieces:
                self._turn.mark_step("first_delta", self._call.now)
                if isinstance(piece, ToolCall):
                    self._playback.tool_calls.append(piece)
                else:
                    self._add(self._splitter.feed(piece))
        self._add(self._splitter.flush())
        if not self._playback.text and not self._playback.tool_calls:
            raise EngineError("there is no word in the answer")

    def replace_rest(self, sentences: Iterable[str]) -> None:
        """After the model has failed, play the text received so far, then `sentences` in place of the rest."""
        self._playback.tool_calls.clear()
        self._add([*self._splitter.flush(), *sentences])

    def _resume(self) -> str:
        """Drop the unfinished sentence of an answer that broke off; return the text before that sentence."""
        self._splitter.flush()
        return self._playback.text

    def _add(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            spoken = strip_markdown(sentence.replace(INTERRUPTED, ""))
            if any(character.isalnum() for character in spoken):
                self._turn.mark_step("first_sentence", self._call.now)
                self._playback.add_sentence(spoken)
