"""`vosk`: a vosk-server, by its WebSocket protocol; each utterance is a connection.

It is sent a configuration, the sound, and that this was all of it; to each message but the first it answers with
what it understood: `partial` of a part that goes on, `text` of one that is over, of which there may be several.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.events.post import host_of
from mediaserver.speech.engines.http import Http
from mediaserver.speech.stt.interface import Recognition, while_telling

_CONFIG = json.dumps({"config": {"sample_rate": SAMPLE_RATE, "words": True, "max_alternatives": 0}})
_END = '{"eof" : 1}'  # to the letter: that is how the server compares it


class Vosk:
    """Recognises with a server."""

    def __init__(self, settings: RecognitionSettings, http: Http) -> None:
        self._url, self._http = settings.vosk.url, http

    async def recognise(
        self, audio: AsyncIterator[bytes], partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """The words of one utterance, in the language of the server's model."""
        async with self._http.socket(self._url) as socket:
            dialogue = _Dialogue(socket, host_of(self._url))
            return await while_telling(dialogue.tell(audio), dialogue.hear(partial))

    why_not_ready = ""  # it is not asked ahead of need

    def warm(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to let go of."""


class _Dialogue:
    """One utterance."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, host: str) -> None:
        self._socket, self._host = socket, host
        self._unanswered = 0  # messages
        self._ended = False  # all has been told
        self._texts: list[str] = []  # of the parts that are over
        self._confidences: list[float] = []  # of their words

    async def tell(self, audio: AsyncIterator[bytes]) -> None:
        """Send the sound."""
        await self._socket.send_str(_CONFIG)
        async for pcm in audio:
            self._unanswered += 1
            await self._socket.send_bytes(pcm)
        self._unanswered += 1
        self._ended = True
        await self._socket.send_str(_END)

    async def hear(self, partial: Callable[[str], None]) -> Recognition:
        """Take in the answers, until there is one to each message, or the server has said goodbye."""
        while not self._ended or self._unanswered:
            answer = await self._answer()
            if answer is None:
                break
            if "partial" in answer:
                partial(self._joined(str(answer["partial"])))
            elif "text" in answer:
                self._texts.append(str(answer["text"]))
                self._confidences += _confidences(answer)
            else:
                raise EngineError(f"{self._host}: an answer that is none of vosk's")
            self._unanswered -= 1
        known = self._confidences
        return Recognition(self._joined(), round(sum(known) / len(known), 3) if known else None)

    def _joined(self, last: str = "") -> str:
        return " ".join(filter(None, (*self._texts, last)))

    async def _answer(self) -> dict[str, Any] | None:
        message = await self._socket.receive()
        if self._ended and self._texts and self._socket.close_code == aiohttp.WSCloseCode.OK:
            return None
        if message.type is not aiohttp.WSMsgType.TEXT:
            closed = "the connection was closed" if self._socket.closed else "an answer that is no text"
            raise EngineError(f"{self._host}: {closed}")
        try:
            answer = json.loads(message.data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EngineError(f"{self._host}: an answer that is no JSON object")
        return answer


def _confidences(answer: dict[str, Any]) -> list[float]:
    """Those of the words, where the server tells them."""
    words = answer.get("result")
    if not isinstance(words, list):
        return []
    return [
        float(word["conf"])
        for word in words
        if isinstance(word, dict) and isinstance(word.get("conf"), int | float) and 0 <= word["conf"] <= 1
    ]
