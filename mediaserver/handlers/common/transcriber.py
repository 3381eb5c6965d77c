"""The transcriber: has STT recognise a call's utterances, emits words and keywords, and writes a transcript."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import structlog

from mediaserver.call import Call, Endpointer, Utterance
from mediaserver.errors import EngineError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.common.transcript import Speaker, Transcript
from mediaserver.speech.stt.interface import Recognition, SttEngine

_PARTIAL_INTERVAL = 0.25  # the minimum number of seconds between two partial transcripts
_TOO_LATE = "the call ended before it was recognised"

log = structlog.get_logger()


class KeywordSpotter:
    """Finds keywords (words or phrases) in a text. Only whole words match, whatever their case and spacing."""

    def __init__(self, keywords: Sequence[str]) -> None:
        self._patterns = {keyword: re.compile(_pattern(keyword.split()), re.IGNORECASE) for keyword in keywords}

    def find_in(self, text: str) -> list[str]:
        """The keywords that occur in a text."""
        return [keyword for keyword, pattern in self._patterns.items() if pattern.search(text)]


def _pattern(words: Sequence[str]) -> str:
    return r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)"


class Transcriber:
    """Transcribes utterances one after another, and emits the results as events."""

    def __init__(
        self,
        call: Call,
        recogniser: SttEngine,
        language: str,
        keywords: Sequence[str],
        partials: bool,
        transcript: Transcript,
    ) -> None:
        self._call, self._recogniser, self._language = call, recogniser, language
        self._keywords, self._partials = KeywordSpotter(keywords), partials
        self._transcript = transcript
        # The last partial transcript of the present utterance, and the earliest time to emit the next one.
        self._last_partial, self._next_partial_at = "", 0.0
        self._spotted: set[str] = set()  # the keywords that were found in the present utterance

    async def run(self, utterances: Endpointer) -> None:
        """Transcribe utterances one after another until there are no more."""
        try:
            async for utterance in utterances:
                await self._recognise(utterance)
        except asyncio.CancelledError:  # the call is over, and there is no time to recognise its last utterances
            for utterance in utterances.take_pending():
                self._report_failure(utterance, _TOO_LATE)
            raise

    def on_dropped(self, utterance: Utterance) -> None:
        """Report an utterance that was dropped because too much audio was pending."""
        self._report_failure(utterance, "speech comes faster than it can be recognised", dropped=True)

    async def _recognise(self, utterance: Utterance) -> None:
        self._last_partial, self._next_partial_at, self._spotted = "", 0.0, set()
        timeout = self._call.speech.recognition.timeout
        try:
            found = await utterance.transcribe(
                self._recogniser, timeout, lambda text: self._on_partial(utterance, text), self._language
            )
        except EngineError as error:
            self._report_failure(utterance, str(error))
        except asyncio.CancelledError:
            self._report_failure(utterance, _TOO_LATE)
            raise
        else:
            self._report_final(utterance, found)

    def _on_partial(self, utterance: Utterance, text: str) -> None:
        self._spot_keywords(utterance, text, final=False)
        now = utterance.clock()
        if self._partials and text and text != self._last_partial and now >= self._next_partial_at:
            self._last_partial, self._next_partial_at = text, now + _PARTIAL_INTERVAL
            facts = {"text": text, "utterance": utterance.number, "start_s": round(utterance.start, 3)}
            self._call.notify(EventKind.TRANSCRIPT_PARTIAL, facts)

    def _report_final(self, utterance: Utterance, found: Recognition) -> None:
        facts = _times(utterance) | {
            "text": found.text,
            "confidence": found.confidence,
            "seconds": round(utterance.clock() - utterance.ended_at, 3),
        }
        self._call.notify(EventKind.TRANSCRIPT_FINAL, facts)
        self._spot_keywords(utterance, found.text, final=True)
        if found.text:
            self._transcript.add(Speaker.CALLER, facts)

    def _spot_keywords(self, utterance: Utterance, text: str, final: bool) -> None:
        stream = self._call.stream
        for keyword in self._keywords.find_in(text):
            if keyword not in self._spotted:
                self._spotted.add(keyword)
                start = round(utterance.start, 3)
                facts = {"keyword": keyword, "text": text, "utterance": utterance.number, "start_s": start}
                self._call.notify(EventKind.KEYWORD, facts | {"final": final})
                log.info("keyword spotted", stream=stream.id, path=stream.path, keyword=keyword, start_s=start)

    def _report_failure(self, utterance: Utterance, why: str, dropped: bool = False) -> None:
        facts = _times(utterance) | {"why": why}
        self._call.notify(EventKind.RECOGNITION_FAILED, facts | {"dropped": dropped})
        log.warning("recognition failed", stream=self._call.stream.id, path=self._call.stream.path, **facts)


def _times(utterance: Utterance) -> dict[str, Any]:
    return {
        "utterance": utterance.number,
        "start_s": round(utterance.start, 3),
        "end_s": round(utterance.end, 3),
    }
