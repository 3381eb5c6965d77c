"""The stand-in for a call at VoIPBIN does what it says."""

import importlib.util
import runpy
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mediaserver.audio import g711
from mediaserver.audio.pcm import to_bytes
from tests.client.attached import Desk, desk
from tests.project import ROOT
from tests.sound import speechlike, write_wav
from tests.timing import eventually

EXAMPLE = ROOT / "examples/media_stream.py"
CALLER, PROMPT = speechlike(160 * 30, 1), speechlike(160 * 20, 2)
PATHS = """
[paths."/play"]
handler = "playback"
prompt = "a"
linger_ms = 0
[paths."/record"]
handler = "record"
directory = "{folder}"
file = "caller.wav"
max_duration = 1.0
then = "hangup"
"""


@pytest.fixture
async def attacher(tmp_path: Path) -> AsyncIterator[Desk]:
    """A server that attaches to the example's calls."""
    write_wav(tmp_path / "prompts/a.wav", PROMPT)
    write_wav(tmp_path / "caller.wav", CALLER)
    specification = importlib.util.spec_from_file_location("media_stream", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    app = module.make_app(tmp_path / "caller.wav", tmp_path / "heard.wav")
    async with TestServer(app) as server:
        platform = SimpleNamespace(api=server.make_url("/v1.0"))
        async with desk(tmp_path, platform, PATHS.format(folder=tmp_path / "rec")) as attaching:
            yield attaching


def samples(file: Path) -> bytes:
    with wave.open(str(file)) as opened:
        assert opened.getparams()[:3] == (1, 2, 8000)
        return opened.readframes(opened.getnframes())


async def test_what_the_server_plays_is_written(attacher: Desk, tmp_path: Path) -> None:
    attached = await attacher.attach("calls/652af662", "/play")
    assert (await attached.end()).reason == "finished"
    await eventually(lambda: to_bytes(PROMPT) in samples(tmp_path / "heard.wav"))


async def test_the_server_hears_the_caller_and_hangs_up(
    attacher: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attached = await attacher.attach("calls/652af662", "/record")
    await attached.end()
    companded = to_bytes(g711.mulaw_decode(g711.mulaw_encode(CALLER)))
    assert companded in samples(tmp_path / "rec/caller.wav")
    assert "call 652af662: hung up" in capsys.readouterr().out


async def test_another_encapsulation_is_refused(attacher: Desk) -> None:
    attached = await attacher.attach("calls/652af662", "/play", encapsulation="rtp")
    end = await attached.end()
    assert end.reason == "refused"


def test_the_example_is_reached_by_this_machine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[dict[str, object]] = []
    monkeypatch.setattr(web, "run_app", lambda app, **how: run.append(how))
    caller = write_wav(tmp_path / "caller.wav", CALLER)
    monkeypatch.setattr(sys, "argv", ["media_stream.py", str(caller), str(tmp_path / "heard.wav")])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert run == [{"host": "127.0.0.1", "port": 8766}]
