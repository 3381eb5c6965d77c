"""Who writes down what is said on one stream: utterance after utterance, in words, as events and in a file."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import structlog

from mediaserver.call import Call, DiskExecutor, Endpointer, Utterance
from mediaserver.errors import EngineError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.common import files
from mediaserver.handlers.common.transcript import Transcript
from mediaserver.speech.stt.interface import Recognition, SttEngine

_BETWEEN_PARTIALS = 0.25  # seconds
_TOO_LATE = "the call ended before it was recognised"

log = structlog.get_logger()


class Keywords:
    """Words and phrases, as whole words, whatever their case and the space in them."""

    def __init__(self, keywords: Sequence[str]) -> None:
        self._patterns = {keyword: re.compile(_pattern(keyword.split()), re.IGNORECASE) for keyword in keywords}

    def within(self, text: str) -> list[str]:
        """Those that are in a text."""
        return [keyword for keyword, pattern in self._patterns.items() if pattern.search(text)]


def _pattern(words: Sequence[str]) -> str:
    return r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)"


class Scribe:
    """Has utterances recognised, and tells what comes of it."""

    def __init__(
        self,
        call: Call,
        recogniser: SttEngine,
        language: str,
        keywords: Sequence[str],
        partials: bool,
        transcript: Transcript | None,
    ) -> None:
        self._call, self._recogniser, self._language = call, recogniser, language
        self._keywords, self._partials = Keywords(keywords), partials
        self._transcript, self._disk = transcript, DiskExecutor()
        self._told, self._due = "", 0.0  # of the present utterance: the last words, and when the next may be told
        self._heard: set[str] = set()  # keywords in it

    async def run(self, utterances: Endpointer) -> None:
        """One utterance after another, to the last."""
        try:
            async for utterance in utterances:
                await self._recognise(utterance)
        except asyncio.CancelledError:  # the call is over, and there is no time for what is left
            for utterance in utterances.take_pending():
                self._failed(utterance, _TOO_LATE)
            raise

    def lost(self, utterance: Utterance) -> None:
        """One has given way to others."""
        self._failed(utterance, "more is said than can be recognised in time", dropped=True)

    async def _recognise(self, utterance: Utterance) -> None:
        self._told, self._due, self._heard = "", 0.0, set()
        timeout = self._call.speech.recognition.timeout
        try:
            found = await utterance.transcribe(
                self._recogniser, timeout, lambda text: self._partial(utterance, text), self._language
            )
        except EngineError as error:
            self._failed(utterance, str(error))
        except asyncio.CancelledError:
            self._failed(utterance, _TOO_LATE)
            raise
        else:
            await self._final(utterance, found)

    def _partial(self, utterance: Utterance, text: str) -> None:
        self._look_for_keywords(utterance, text, final=False)
        now = utterance.clock()
        if self._partials and text and text != self._told and now >= self._due:
            self._told, self._due = text, now + _BETWEEN_PARTIALS
            facts = {"text": text, "utterance": utterance.number, "start_s": round(utterance.start, 3)}
            self._call.notify(EventKind.TRANSCRIPT_PARTIAL, facts)

    async def _final(self, utterance: Utterance, found: Recognition) -> None:
        facts = _times(utterance) | {
            "text": found.text,
            "confidence": found.confidence,
            "seconds": round(utterance.clock() - utterance.ended_at, 3),
        }
        self._call.notify(EventKind.TRANSCRIPT_FINAL, facts)
        self._look_for_keywords(utterance, found.text, final=True)
        if found.text:
            await self._write(utterance, facts)

    def _look_for_keywords(self, utterance: Utterance, text: str, final: bool) -> None:
        stream = self._call.stream
        for keyword in self._keywords.within(text):
            if keyword not in self._heard:
                self._heard.add(keyword)
                start = round(utterance.start, 3)
                facts = {"keyword": keyword, "text": text, "utterance": utterance.number, "start_s": start}
                self._call.notify(EventKind.KEYWORD, facts | {"final": final})
                log.info("keyword", stream=stream.id, path=stream.path, keyword=keyword, start_s=start)

    def _failed(self, utterance: Utterance, why: str, dropped: bool = False) -> None:
        facts = _times(utterance) | {"why": why}
        self._call.notify(EventKind.RECOGNITION_FAILED, facts | {"dropped": dropped})
        log.warning("not recognised", stream=self._call.stream.id, path=self._call.stream.path, **facts)

    async def _write(self, utterance: Utterance, facts: dict[str, Any]) -> None:
        if self._transcript is None:
            return
        stream = self._call.stream
        about = {"time": files.now(), "stream": stream.id, "path": stream.path}
        try:
            await self._disk.run_blocking(self._transcript.add, about | facts, utterance.start, utterance.end)
        except OSError as error:
            files.tell_failure(self._call, EventKind.TRANSCRIPT_FAILED, self._transcript.path, error)
            self._transcript = None


def _times(utterance: Utterance) -> dict[str, Any]:
    return {
        "utterance": utterance.number,
        "start_s": round(utterance.start, 3),
        "end_s": round(utterance.end, 3),
    }
