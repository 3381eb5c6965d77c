"""Start, drain and shutdown of a real process: its signals and its exit codes."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mediaserver.audio.pcm import FULL_SCALE
from tests.server.process import get, launch, listen, serving, upgrade_request, while_listening, write_config
from tests.sound import sine, speechlike, write_wav
from tests.timing import PATIENCE, eventually

PATHS = """
[paths."/long"]
handler = "playback"
prompt = "long"
linger_ms = 0
[paths."/forever"]
handler = "playback"
prompt = "long"
repeat = "forever"
"""
SILENCE = '[paths."/silence"]\nhandler = "silence"\n'
LONG_FRAMES = 100


def config_in(directory: Path, **server: Any) -> Path:
    config = write_config(directory, PATHS, **server)
    write_wav(directory / "prompts/long.wav", speechlike(160 * LONG_FRAMES))
    return config


async def test_on_sigterm_streams_reach_their_end_and_the_exit_code_is_0(tmp_path: Path) -> None:
    with serving(config_in(tmp_path)) as server:
        playing = await while_listening(server.url("/long"), 5)
        server.process.send_signal(signal.SIGTERM)
        heard = await asyncio.gather(*playing)
        assert [len(each.messages) for each in heard] == [LONG_FRAMES] * 5
        assert [each.close_code for each in heard] == [1000] * 5
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
        assert server.events("drained")


async def test_a_draining_server_is_alive_not_ready_and_takes_no_calls(tmp_path: Path) -> None:
    with serving(config_in(tmp_path)) as server:
        late, slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        (playing,) = await while_listening(server.url("/long"))  # so those have been accepted as well
        server.process.send_signal(signal.SIGINT)
        await eventually(lambda: connects_not(server.port))
        assert await get(server.admin_url("/readyz")) == (503, "draining\n")
        assert await get(server.admin_url("/healthz")) == (200, "alive\n")
        late[1].write(upgrade_request("/long"))  # it had come before, and is in its handshake
        assert (await late[0].readline()).startswith(b"HTTP/1.1 101 ")
        await asyncio.to_thread(server.wait_for_event, "draining")
        slow[1].write(upgrade_request("/long"))
        refused = await slow[0].read()
        for _, writer in (late, slow):
            writer.close()
            await writer.wait_closed()
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert refused.endswith(b"shutting down: try again later\n")
        assert len((await playing).messages) == LONG_FRAMES
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0


def connects_not(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) != 0


async def test_a_stream_that_does_not_end_in_time_is_closed_as_going_away(tmp_path: Path) -> None:
    with serving(config_in(tmp_path, drain_timeout=0.5)) as server:
        (playing,) = await while_listening(server.url("/forever"))
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        heard = await playing
        assert heard.close_code == 1001
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
        assert time.monotonic() - begun >= 0.5
        assert server.events("stream ended")[-1]["reason"] == "drained"


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with serving(config_in(tmp_path, drain_timeout=3600)) as server:
        (playing,) = await while_listening(server.url("/forever"))
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait_for_event, "draining")
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 1
        await playing


def with_slow_prompts(directory: Path) -> tuple[Path, str]:
    """A configuration whose prompts take a while to decode, and the address of its admin listener."""
    config = config_in(directory)
    for n in range(4):
        write_wav(directory / f"prompts/slow{n}.wav", sine(440, 120, 44_100) * FULL_SCALE, 44_100)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        admin = probe.getsockname()[1]
    config.write_text(config.read_text().replace("[admin]\nport = 0", f"[admin]\nport = {admin}"))
    return config, f"http://127.0.0.1:{admin}"


async def answer(url: str) -> tuple[int, str]:
    """Status and body of an answer; status 0 while nothing listens."""
    with contextlib.suppress(aiohttp.ClientError):
        return await get(url)
    return 0, ""


async def test_a_server_is_alive_but_not_ready_while_prompts_are_decoded(tmp_path: Path) -> None:
    config, admin = with_slow_prompts(tmp_path)
    server = launch(config, tmp_path / "log")
    try:
        states = set()
        deadline = time.monotonic() + PATIENCE
        while (200, "ready\n") not in states:
            states.add(await answer(f"{admin}/readyz"))
            assert await answer(f"{admin}/healthz") in ((0, ""), (200, "alive\n"))
            assert time.monotonic() < deadline
        assert (503, "starting\n") in states
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_while_prompts_are_decoded_ends_cleanly(tmp_path: Path, number: int) -> None:
    config, admin = with_slow_prompts(tmp_path)
    server = launch(config, tmp_path / "log")
    try:
        while await answer(f"{admin}/readyz") != (503, "starting\n"):
            assert server.process.poll() is None
        server.process.send_signal(number)
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
        assert not server.events("listening")
        assert "Traceback" not in server.log_file.read_text()
    finally:
        server.process.kill()
        server.process.wait()


# An engine that speaks, and takes its time to begin, or does not.
ENGINE = """
import pathlib, sys, time
place = pathlib.Path({place!r})
while not (place / "go").exists():
    time.sleep(0.005)
if (place / "ill").exists():
    sys.exit("no model here")
import numpy as np
class Hibari:
    sample_rate = 8000
    def __init__(self, voice): ...
    def __call__(self, text, speed=1.0, seed=0):
        return np.full(1600, 0.4, np.float32)
"""


def with_an_engine(folder: Path) -> Path:
    """A configuration with a path that needs TTS, by an engine that starts once the file `go` is there."""
    (folder / "hibari").mkdir()
    (folder / "hibari/__init__.py").write_text(ENGINE.format(place=str(folder)))
    (folder / "hibari/voices.py").write_text("DEFAULT = 'heart'\ndef voice_path(name, **options): ...\n")
    return write_config(folder, '[paths."/say"]\nhandler = "say"\ntext = "Hello."\n' + SILENCE)


async def test_a_server_is_ready_once_its_engines_are_and_serves_other_paths_before(tmp_path: Path) -> None:
    with serving(with_an_engine(tmp_path), PYTHONPATH=str(tmp_path)) as server:
        assert await get(server.admin_url("/readyz")) == (503, "speech engine hibari is starting\n")
        assert "mediaserver_ready 0.0" in (await get(server.admin_url("/metrics")))[1]
        assert len((await listen(server.url("/silence"), frames=3)).messages) == 3
        (tmp_path / "go").touch()
        async with asyncio.timeout(PATIENCE):
            while await get(server.admin_url("/readyz")) != (200, "ready\n"):
                await asyncio.sleep(0.01)
        assert (await listen(server.url("/say"))).close_code == 1000


async def test_an_engine_that_does_not_start_is_the_reason_of_readyz(tmp_path: Path) -> None:
    config = with_an_engine(tmp_path)
    for name in ("go", "ill"):
        (tmp_path / name).touch()
    with serving(config, PYTHONPATH=str(tmp_path)) as server:
        async with asyncio.timeout(PATIENCE):
            while "cannot start" not in (answered := await get(server.admin_url("/readyz")))[1]:
                await asyncio.sleep(0.01)
        assert answered[0] == 503
        printed = await asyncio.to_thread(server.wait_for_event, "process wrote to stderr")
        assert (printed["module"], printed["text"]) == (
            "mediaserver.speech.tts.hibari_process",
            "no model here",
        )
        assert all(line.startswith("{") for line in server.log_file.read_text().splitlines())


# What Python runs first: Ctrl-C works as on a terminal, and comes by itself when a module is looked for.
STARTUP = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Interrupt())
"""


def starting(folder: Path, *arguments: object, module: str = "", number: int = 0) -> "subprocess.Popen[str]":
    (folder / "sitecustomize.py").write_text(STARTUP.format(module=module, number=int(number)))
    return subprocess.Popen(
        [sys.executable, "-m", "mediaserver", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )


@pytest.mark.parametrize(
    "module", ["mediaserver.cli.main", "numpy", "pydantic", "uvloop", "mediaserver.server.server"]
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_imports_ends_without_output(tmp_path: Path, module: str, number: int) -> None:
    with starting(tmp_path, "serve", module=module, number=number) as process:
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 128 + number


@pytest.mark.parametrize("command", ["serve", "check"])
def test_ctrl_c_while_the_configuration_is_read_ends_without_output(tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "config.toml")
    arguments = command, "--config", tmp_path / "config.toml"
    # Once it can be opened here, the command has opened it as well, and waits for what it holds.
    with starting(tmp_path, *arguments) as process, (tmp_path / "config.toml").open("w"):
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 128 + signal.SIGINT


async def test_nothing_is_left_behind_by_streams_that_ended(tmp_path: Path) -> None:
    with serving(config_in(tmp_path)) as server:
        descriptors = Path(f"/proc/{server.process.pid}/fd")
        await listen(server.url("/forever"), frames=2)
        await eventually(lambda: len(server.events("stream ended")) == 1)
        # The watch over the prompt folder begins in a thread, at any time after the server listens.
        await eventually(lambda: any("inotify" in each.resolve().name for each in descriptors.iterdir()))
        before = len(list(descriptors.iterdir()))
        await asyncio.gather(*(listen(server.url("/forever"), frames=5) for _ in range(50)))
        await eventually(lambda: len(server.events("stream ended")) == 51)
        await eventually(lambda: len(list(descriptors.iterdir())) <= before)
        _, metrics = await get(server.admin_url("/metrics"))
        assert 'mediaserver_sessions{path="/forever"} 0.0' in metrics
