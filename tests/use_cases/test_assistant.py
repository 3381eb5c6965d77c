"""Callers talk with an assistant: a server process, its own ears and voice, and a model on a local HTTP server."""

import json
from pathlib import Path
from typing import Any

import pytest

from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.audio.pcm import FRAME_BYTES, PTIME
from tests.server.process import get, serving, write_config
from tests.speech.llm.chat_server import ChatServer, call
from tests.speech.recordings import recording_of
from tests.speech.stt.test_pocketsphinx import assert_understood
from tests.timing import PATIENCE, TIMEOUT, UNIT, eventually, late
from tests.use_cases.phone import Phone

pytest.importorskip("hibari", reason="hibari-tts speaks")
pytest.importorskip("pocketsphinx", reason="pocketsphinx recognises what is said")

HELP, WEATHER, NO, BYE = "can you help me", "tell me about the weather", "no thank you", "thank you goodbye"
ANSWERS: dict[str, list[Any]] = {
    HELP: ["Yes, I can."],
    WEATHER: ["It is sunny and warm today. And so it will be tomorrow, and the day after that. Then it rains."],
    NO: ["Well then."],
    BYE: ["Goodbye.", call("hang_up")],
}
PATHS = """
[recognition]
timeout = {patience}
[speech]
timeout = {patience}
[chat]
url = "{url}"
token = "s3cret-of-chat"
timeout = {patience}
[defaults]
framing = "pcm"
[paths."/talk/{{name}}"]
handler = "assistant"
instructions = "You talk to {{name}}."
greeting = "Hello {{name}}."
tools = {{ hang_up = true }}
directory = "{directory}"
file = "{{resource}}.jsonl"
"""


def answer(body: dict[str, Any]) -> list[Any]:
    """To the text that has most in common with what was understood."""
    told = set(body["messages"][-1]["content"].split())
    return ANSWERS[max(ANSWERS, key=lambda text: len(told & set(text.split())) / len(text.split()))]


def voiced_after(pcm: bytes) -> float:
    """Seconds from the beginning to the first voice."""
    detector = VoiceActivityDetector()
    frames = range(0, len(pcm), FRAME_BYTES)
    return next(at / FRAME_BYTES * PTIME for at in frames if detector.feed(pcm[at : at + FRAME_BYTES]))


async def hold_a_conversation(phone: Phone) -> float:
    """Ask, ask again, interrupt the answer, say goodbye: the seconds in which the answer stopped."""
    await phone.hear()
    await phone.say(recording_of(HELP))
    await phone.hear()
    await phone.say(recording_of(WEATHER))
    before = phone.sounding
    await eventually(lambda: phone.sounding > before + 100)
    await phone.say(recording_of(NO))
    stopped = phone.sound_until - phone.said_at - voiced_after(recording_of(NO))
    await phone.hear()
    await phone.say(recording_of(BYE))
    await eventually(lambda: phone.close_code == 1000)
    return stopped


async def test_a_conversation(tmp_path: Path) -> None:
    async with ChatServer(answer, pace=20) as model:
        paths = PATHS.format(url=model.url, directory=tmp_path, patience=TIMEOUT)
        with serving(write_config(tmp_path, paths)) as server:
            async with Phone(server.url("/talk/Ann")) as phone:
                stopped = await hold_a_conversation(phone)
            metrics = (await get(server.admin_url("/metrics")))[1]
            log = server.log_file.read_text()
    assert stopped < 0.06 + 0.05 * UNIT + late()  # of ours, and of this machine's
    messages = [message["content"] for message in model.requests[-1]["messages"]]
    heard, note = messages[5].split("… ")
    assert_understood([HELP, WEATHER, NO, BYE], messages[2::2])
    assert [*messages[:2], *messages[3:-1:2]] == [
        "You talk to Ann.", "Hello Ann.", *ANSWERS[HELP], messages[5], *ANSWERS[NO],
    ]  # fmt: skip
    assert note == "[interrupted by the caller]"
    assert ANSWERS[WEATHER][0].startswith(heard)
    assert 25 < len(heard) < 70
    lines = [json.loads(line) for line in (tmp_path / "talk-Ann.jsonl").read_text().splitlines()]
    assert_understood([HELP, WEATHER, NO, BYE], [line["text"] for line in lines[1::2]])
    assert [line["interrupted"] for line in lines[::2]] == [False, False, True, False, False]
    for turn in lines[2::2]:
        times = [turn[f"{step}_ms"] for step in ("words", "first_delta", "first_sentence", "first_audio")]
        assert times == sorted(times)
        assert 600 < times[0] < times[-1] < 1000 * PATIENCE
    assert "mediaserver_assistant_first_audio_seconds_count 4.0" in metrics
    assert 'mediaserver_events_total{type="assistant.hangup"} 1.0' in metrics
    assert "s3cret" not in metrics + log
    assert '"level": "error"' not in log
    assert set(model.tokens) == {"Bearer s3cret-of-chat"}
