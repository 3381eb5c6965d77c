"""A prompt and a text on one path, from sources that differ by 20 dB: callers hear both at one level."""

import json
import sys
from pathlib import Path

import pytest

from mediaserver.audio.pcm import from_bytes
from tests.audio import p56
from tests.server.process import Heard, listen, serving, write_config
from tests.sound import voice, write_wav
from tests.speech import tone_speaker
from tests.timing import TIMEOUT

PATHS = """
[speech]
engine = "command"
timeout = {timeout}
[speech.command]
program = {program}
[prompts]
cache = "off"
loudness = {loudness}
[paths."/queue"]
handler = "playback"
encapsulation = "sln"
prompts = ["voice", {{say = "You are next."}}]
linger_ms = 0
"""
SECONDS = 3


async def heard_levels(tmp_path: Path, loudness: str) -> tuple[float, float]:
    """The active speech levels in dBov of the prompt and of the text."""
    write_wav(tmp_path / "prompts/voice.wav", voice(SECONDS * 8000, peak=1000))
    program = [sys.executable, tone_speaker.__file__, "write", "700", "{file}", str(tmp_path / "log")]
    config = write_config(tmp_path, PATHS.format(program=json.dumps(program), loudness=loudness, timeout=TIMEOUT))
    heard = Heard()
    with serving(config) as server:
        await listen(server.url("/queue"), heard=heard)
    samples = from_bytes(b"".join(heard.messages))
    return p56.active_level(samples[: SECONDS * 8000]), p56.active_level(samples[SECONDS * 8000 :])


async def test_prompts_and_texts_have_one_level(tmp_path: Path) -> None:
    assert await heard_levels(tmp_path, "-26.0") == pytest.approx((-26.0, -26.0), abs=0.2)


async def test_without_a_level_each_is_as_it_was_made(tmp_path: Path) -> None:
    prompt, text = await heard_levels(tmp_path, '"off"')
    assert text - prompt > 15
