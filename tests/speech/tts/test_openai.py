"""The TTS engine `openai`, with a real HTTP server that has hibari behind it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soxr

from mediaserver.audio.pcm import from_bytes
from mediaserver.audio.resample import Resampler
from mediaserver.config.speech_settings import OpenAiSpeechSettings, SpeechSettings
from mediaserver.errors import EngineError
from mediaserver.speech.service import SpeechService
from tests.speech.tts_server import TOKEN, TtsServer, tts_server
from tests.timing import TIMEOUT

pytest.importorskip("hibari")


@pytest.fixture
async def server() -> AsyncIterator[TtsServer]:
    async with tts_server() as serving:
        yield serving


def speech_by(url: str, timeout: float = TIMEOUT, token: str = TOKEN) -> SpeechService:
    settings = OpenAiSpeechSettings(url=url, token=token, model="tts-of-the-test")
    return SpeechService(SpeechSettings(engine="openai", openai=settings, timeout=timeout))


def expected(pcm: bytes) -> np.ndarray:
    return soxr.resample(from_bytes(pcm).astype(np.float64), 24_000, 8000, quality="VHQ")


DELAY = 16  # samples, 2 ms: the delay of the filter that resamples a stream


def assert_alike(received: np.ndarray, pcm: bytes, delay: int = 0) -> None:
    """Assert that both are the same sound, resampled otherwise, `delay` samples later, padded to whole frames."""
    reference = np.pad(expected(pcm), (delay, 0))
    assert len(received) % 160 == 0
    assert 0 <= len(received) - len(reference) < 161
    reference = np.pad(reference, (0, len(received) - len(reference)))
    assert np.sqrt(np.mean((received - reference) ** 2)) < 0.05 * np.sqrt(np.mean(reference**2))


@pytest.mark.parametrize("kind", ["", "wav", "streamed wav"])
async def test_the_request_is_openais_and_its_speech_is_resampled(kind: str, server: TtsServer) -> None:
    server.fault = kind
    speech = speech_by(server.url)
    try:
        received = from_bytes(await speech.say("You are next.", speech.voice(name="nova", rate=1.5)).collect_pcm())
    finally:
        await speech.close()
    assert server.requests == [
        {
            "model": "tts-of-the-test",
            "input": "You are next.",
            "voice": "nova",
            "response_format": "pcm",
            "speed": 1.5,
        }
    ]
    assert_alike(received, server.pcm, 0 if "wav" in kind else DELAY)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("500", r"HTTP status 500$"),  # without its text, which repeats our token
        ("json", r"answered with application/json \(JSON\), not PCM: .*no such voice"),
        ("html", r"answered with text/html \(an HTML page\), not PCM: <html>Sign in"),
        ("mp3", r"answered with audio/mpeg.*, not PCM"),
        ("disguised", r"answered with application/octet-stream.*, not PCM"),
        ("empty", "the engine gave no sound"),
        ("bad wav", "the answer is a damaged WAV file"),
        ("half", "127.0.0.1"),
        ("endless", "answered with more than 8640000 bytes"),
    ],
)
async def test_a_fault_of_the_server_is_an_error_and_the_next_sentence_works(
    fault: str, why: str, server: TtsServer
) -> None:
    server.fault = fault
    speech = speech_by(server.url)
    try:
        with pytest.raises(EngineError, match=why) as raised:
            await speech.say("Hello.").collect_pcm()
        assert TOKEN not in str(raised.value)
        server.fault = ""
        assert await speech.say("Hello.").collect_pcm()
    finally:
        await speech.close()


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("another", "HTTP status 401: .*Incorrect API key"),
        ("env:NO_SUCH_VARIABLE", "speech.openai.token: the environment variable NO_SUCH_VARIABLE is not set"),
    ],
)
async def test_a_wrong_or_missing_token_is_an_error(token: str, why: str, server: TtsServer) -> None:
    speech = speech_by(server.url, token=token)
    try:
        with pytest.raises(EngineError, match=why):
            await speech.say("Hello.").collect_pcm()
    finally:
        await speech.close()


async def test_a_token_is_read_again_for_each_sentence(server: TtsServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    speech = speech_by(server.url, token=f"file:{file}")
    try:
        with pytest.raises(EngineError, match="401"):
            await speech.say("Hello.").collect_pcm()
        file.write_text(TOKEN)
        assert await speech.say("Hello.").collect_pcm()
    finally:
        await speech.close()


async def test_a_server_that_does_not_answer_or_is_not_there_is_an_error() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    speech = speech_by(f"http://127.0.0.1:{port}/v1", timeout=0.2)
    try:
        with pytest.raises(EngineError, match=r"no sound within 0\.[012]\d* s"):
            await speech.say("Hello.").collect_pcm()
        listening.close()
        await listening.wait_closed()
        with pytest.raises(EngineError, match=r"127\.0\.0\.1"):
            await speech.say("Hello.").collect_pcm()
    finally:
        listening.close()
        await speech.close()


@pytest.mark.parametrize("size", [1, 333, 4800, 100_000])
def test_a_resampler_gives_the_same_however_its_input_is_cut(size: int) -> None:
    sound = (np.sin(np.arange(24_000) / 12) * 9000).astype("<i2").tobytes() + b"\1"  # and half a sample
    resampler = Resampler(24_000)
    parts = [resampler.feed(sound[at : at + size]) for at in range(0, len(sound), size)]
    assert all(len(part) % 320 == 0 for part in parts)
    assert_alike(from_bytes(b"".join([*parts, resampler.flush()])), sound[:-1], DELAY)


def test_a_resampler_gives_each_frame_with_the_piece_that_completes_it() -> None:
    """Speech is played as it streams in: a resampler that works in blocks would hold back a tenth of a second."""
    resampler, piece = Resampler(24_000), bytes(2 * 2400)  # 100 ms
    assert [len(resampler.feed(piece)) // 320 for _ in range(5)] == [5] * 5
    assert len(resampler.flush()) == 320  # the 2 ms that the filter held back
