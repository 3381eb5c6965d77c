"""STT engines that are servers: the requests that they are sent, and how their failures are reported."""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mediaserver.audio.pcm import SILENCE
from mediaserver.call import Utterance
from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.service import SpeechService
from mediaserver.speech.stt.interface import Recognition, SttEngine
from mediaserver.speech.stt.openai import OpenAiStt
from mediaserver.speech.stt.vosk import VoskStt
from tests.speech.stt.test_pocketsphinx import BALANCE, HELP, sound_of, utterance
from tests.speech.stt_servers import OpenAiServer, SttServer, VoskServer
from tests.timing import PATIENCE, TIMEOUT, UNIT, late

TOKEN = "sk-secret"


def engine_of(server: SttServer, http: EngineHttpClient) -> SttEngine:
    if isinstance(server, VoskServer):
        return VoskStt(RecognitionSettings.model_validate({"vosk": {"url": f"ws://{server.host}/"}}), http)
    openai = {"url": f"http://{server.host}/v1", "token": TOKEN, "model": "whisper-1"}
    return OpenAiStt(RecognitionSettings.model_validate({"openai": openai}), http)


@pytest.fixture
async def http() -> AsyncIterator[EngineHttpClient]:
    client = EngineHttpClient()
    yield client
    await client.close()


async def words(
    engine: SttEngine, text: str, partials: list[str] | None = None, language: str = ""
) -> Recognition:
    partials = [] if partials is None else partials
    return await engine.recognise(sound_of(*utterance(text)), partials.append, language)


async def test_vosk_is_sent_the_sampling_rate_and_sends_partial_results(http: EngineHttpClient) -> None:
    partials: list[str] = []
    async with VoskServer().running() as server:
        found = await words(engine_of(server, http), BALANCE, partials)
        assert found == Recognition(BALANCE.lower(), 0.5)
        assert server.requests == [{"sample_rate": 8000, "words": True, "max_alternatives": 0}]
        assert {"i want", BALANCE.lower()} & set(partials)


async def test_segments_of_vosk_are_joined_to_one_utterance(http: EngineHttpClient) -> None:
    partials: list[str] = []
    async with VoskServer().running() as server:
        assert isinstance(server, VoskServer)
        server.messages_per_segment = 9
        assert (await words(engine_of(server, http), HELP, partials)).text == HELP
        assert partials[-1].startswith(
            "can"
        )  # the partial result of a later segment has the earlier ones before it


async def test_openai_is_sent_the_language_and_the_token(http: EngineHttpClient) -> None:
    async with OpenAiServer().running() as server:
        engine = engine_of(server, http)
        assert (await words(engine, BALANCE)).text == BALANCE.lower()
        assert (await words(engine, HELP, language="en-GB")).text == HELP
        expected = {"model": "whisper-1", "language": "en", "response_format": "json", "file": None}
        assert server.requests == [expected | {"authorization": f"Bearer {TOKEN}"}] * 2
        assert await engine.recognise(sound_of(), print) == Recognition("")


VOSK = {
    "500": "HTTP status 500, and no WebSocket",
    "cut": "the connection was closed",
    "closed": "the connection was closed",
    "garbage": "an answer that is no JSON object",
    "list": "an answer that is no JSON object",
    "half": "an answer that is no JSON object",
    "binary": "an answer that is no text",
    "other": "an answer that vosk does not give",
}
OPENAI = {
    "500": "HTTP status 500: out of order",
    "cut": "the connection broke off amid the answer",
    "garbage": 'the answer is no JSON object with a "text"',
    "list": 'the answer is no JSON object with a "text"',
    "other": 'the answer is no JSON object with a "text"',
    "long": "the answer is longer than 64 KB",
}


@pytest.mark.parametrize(("kind", "failures"), [(VoskServer, VOSK), (OpenAiServer, OPENAI)])
async def test_failures_are_one_plain_line_and_the_next_utterance_works(
    kind: Any, failures: Any, http: EngineHttpClient
) -> None:
    async with kind().running() as server:
        engine = engine_of(server, http)
        for fault, why in failures.items():
            server.fault = fault
            with pytest.raises(EngineError, match=f"^{re.escape(f'{server.host}: {why}')}$"):
                await words(engine, HELP)
        assert (await words(engine, HELP)).text == HELP
    with pytest.raises(EngineError, match=f"^{server.host}: cannot connect: Connection refused$"):
        await words(engine, HELP)


@pytest.mark.parametrize(("kind", "fault"), [(VoskServer, "slow"), (VoskServer, "silent"), (OpenAiServer, "slow")])
async def test_a_cancelled_recognition_leaves_no_task(kind: Any, fault: str, http: EngineHttpClient) -> None:
    async with kind().running() as server:
        server.fault = fault
        engine = engine_of(server, http)
        before = asyncio.all_tasks()
        asking = asyncio.ensure_future(engine.recognise(sound_of(*[SILENCE] * 20), print))
        await asyncio.wait((asking,), timeout=0.1 * UNIT)
        asking.cancel()
        await asyncio.wait((asking,), timeout=PATIENCE)
        assert asking.cancelled()
        assert (await words(engine, HELP)).text == HELP
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() - before if "mediaserver" in repr(task)]


async def test_a_server_that_reads_nothing_delays_only_its_own_utterance(http: EngineHttpClient) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head, re.IGNORECASE)
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
        writer.write(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        writer.write(accept + b"\r\n\r\n")
        await over.wait()
        writer.close()

    spoken, over, loop = Utterance(1, 0.0, time.monotonic), asyncio.Event(), asyncio.get_running_loop()
    server = await asyncio.start_server(stall, "127.0.0.1", 0, limit=1024)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    engine = VoskStt(RecognitionSettings.model_validate({"vosk": {"url": url}}), http)
    for _ in range(15_000):  # more than sockets buffer, and more than an utterance may have
        spoken.push_frame(SILENCE)
    spoken.finish()
    began = loop.time()
    with pytest.raises(EngineError, match=r"no words within 0\.[012]\d* s of the end"):
        await spoken.transcribe(engine, 0.2)
    assert loop.time() - began < 0.2 + UNIT + late()  # to close the connection does not take longer
    over.set()
    server.close()
    await server.wait_closed()


async def test_a_missing_token_file_is_an_error_without_a_request(http: EngineHttpClient) -> None:
    settings = RecognitionSettings.model_validate({"openai": {"token": "file:/nowhere/token"}})
    with pytest.raises(EngineError, match="token: /nowhere/token cannot be read: No such file"):
        await words(OpenAiStt(settings, http), HELP)


@pytest.mark.parametrize("fault", ["500", "cut", "half"])
async def test_an_utterance_that_one_server_loses_is_recognised_by_another(fault: str) -> None:
    async with VoskServer().running() as one, OpenAiServer().running() as two:
        settings = {
            "engine": ["vosk", "openai"],
            "timeout": TIMEOUT,
            "vosk": {"url": f"ws://{one.host}/"},
            "openai": {"url": f"http://{two.host}/v1", "token": TOKEN},
        }
        speech = SpeechService(recognition=RecognitionSettings.model_validate(settings))
        try:
            one.fault = fault
            for text in (BALANCE, HELP):
                assert (await words(speech.recogniser(), text)).text == text.lower()
        finally:
            await speech.close()
        assert len(two.requests) == 2  # the first server is passed over for a minute
        assert speech.engine_health == {("recognition", "vosk"): False, ("recognition", "openai"): True}
