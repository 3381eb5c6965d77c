"""The STT engine `vosk`: a vosk-server, by its WebSocket protocol. Each utterance has a connection of its own.

The client sends a configuration, the audio, and an end mark. The server answers every message but the first with
the words that it has recognised. In an answer, `partial` has the words of a segment that goes on, and `text` has
the words of a segment that has ended. An utterance may have several segments.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.events.webhook_client import host_of
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.stt.interface import Recognition, send_while_receiving

_CONFIG = json.dumps({"config": {"sample_rate": SAMPLE_RATE, "words": True, "max_alternatives": 0}})
_END = '{"eof" : 1}'  # the end mark, with exactly these spaces, because the server compares the text


class VoskStt:
    """Recognises speech with a vosk-server."""

    def __init__(self, settings: RecognitionSettings, http: EngineHttpClient) -> None:
        self._url, self._http = settings.vosk.url, http

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        """Recognise one utterance, in the language of the server's model."""
        async with self._http.websocket(self._url) as websocket:
            connection = _VoskConnection(websocket, host_of(self._url))
            return await send_while_receiving(connection.send_audio(audio), connection.receive_result(on_partial))

    not_ready_reason = ""  # always "" (ready), because the engine is a remote server, which needs no start

    def preload(self) -> None:
        """Do nothing, because this engine has no process to start."""

    async def close(self) -> None:
        """Do nothing, because all engines share the HTTP client, and `SpeechService` closes it."""


class _VoskConnection:
    """The connection to a vosk-server that recognises one utterance."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, host: str) -> None:
        self._websocket, self._host = websocket, host
        self._unanswered = 0  # the number of sent messages that the server has not yet answered
        self._end_sent = False
        self._texts: list[str] = []  # the texts of the utterance's segments that have ended
        self._confidences: list[float] = []  # the confidences (0 to 1) of words in the segments that have ended

    async def send_audio(self, audio: AsyncIterator[bytes]) -> None:
        """Send the configuration, the audio and the end mark."""
        await self._websocket.send_str(_CONFIG)
        async for pcm in audio:
            self._unanswered += 1
            await self._websocket.send_bytes(pcm)
        self._unanswered += 1
        self._end_sent = True
        await self._websocket.send_str(_END)

    async def receive_result(self, on_partial: Callable[[str], None]) -> Recognition:
        """Read answers until each sent message has an answer, or until the server has closed the connection."""
        while not self._end_sent or self._unanswered:
            answer = await self._receive_answer()
            if answer is None:
                break
            if "partial" in answer:
                on_partial(self._joined_text(str(answer["partial"])))
            elif "text" in answer:
                self._texts.append(str(answer["text"]))
                self._confidences += _word_confidences(answer)
            else:
                raise EngineError(f"{self._host}: an answer that vosk does not give")
            self._unanswered -= 1
        known = self._confidences
        return Recognition(self._joined_text(), round(sum(known) / len(known), 3) if known else None)

    def _joined_text(self, partial: str = "") -> str:
        return " ".join(filter(None, (*self._texts, partial)))

    async def _receive_answer(self) -> dict[str, Any] | None:
        """The server's next answer; None if the server has closed the connection after the result."""
        message = await self._websocket.receive()
        if self._end_sent and self._texts and self._websocket.close_code == aiohttp.WSCloseCode.OK:
            return None
        if message.type is not aiohttp.WSMsgType.TEXT:
            problem = "the connection was closed" if self._websocket.closed else "an answer that is no text"
            raise EngineError(f"{self._host}: {problem}")
        try:
            answer = json.loads(message.data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EngineError(f"{self._host}: an answer that is no JSON object")
        return answer


def _word_confidences(answer: dict[str, Any]) -> list[float]:
    """The confidences (0 to 1) of an answer's words; empty if the server does not report them."""
    words = answer.get("result")
    if not isinstance(words, list):
        return []
    return [
        float(word["conf"])
        for word in words
        if isinstance(word, dict) and isinstance(word.get("conf"), int | float) and 0 <= word["conf"] <= 1
    ]
