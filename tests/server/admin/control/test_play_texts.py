"""Texts that requests play on live streams, over a real TTS engine: what the caller hears meanwhile."""

import json
import sys
from collections.abc import Iterator

import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE
from tests.server.admin.console.conftest import SPEAK
from tests.server.admin.live_calls import CONFIG, LONG, ask, calling, parts
from tests.server.process import ServerProcess, serving, write_config
from tests.sound import write_wav
from tests.timing import TIMEOUT, eventually

ENGINE = f'[speech]\nengine = "command"\ntimeout = {TIMEOUT}\n[speech.command]\nprogram = PROGRAM\n'
PROMPT = set(parts(LONG))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("texts")
    program = json.dumps([sys.executable, "-c", SPEAK, "{text}", "{file}"])
    write_wav(folder / "prompts" / "long.wav", LONG)
    with serving(write_config(folder, CONFIG + ENGINE.replace("PROGRAM", program))) as server:
        yield server


async def test_a_text_interrupts_only_when_its_speech_is_there(server: ServerProcess) -> None:
    async with calling(server, "/long") as (stream, heard):
        body = {"play": {"say": "x"}, "interrupt": True}
        assert (await ask(server, "POST", f"/v1/streams/{stream}/play", body))[0] == 202
        await eventually(lambda: PROMPT.issuperset(heard.messages[-3:]) and not PROMPT.issuperset(heard.messages))
    at = next(n for n, frame in enumerate(heard.messages) if frame not in PROMPT)
    assert heard.messages[:at] == parts(LONG)[:at]
    assert heard.messages[at] == fade_out(parts(LONG)[at])
    assert heard.messages[at + 1] not in PROMPT | {SILENCE}
    after = heard.messages.index(parts(LONG)[at])
    assert heard.messages[after:] == parts(LONG)[at:][: len(heard.messages) - after]
