"""The client of the examples does what it says, as a program of its own."""

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from mediaserver.audio.pcm import SILENCE
from tests.project import ROOT
from tests.server.admin.live_calls import CONFIG, LONG, SHORT, ask, calling, parts
from tests.server.process import ServerProcess, serving, write_config
from tests.sound import write_wav
from tests.timing import PATIENCE, eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("example")
    config = write_config(folder, CONFIG)
    write_wav(folder / "prompts" / "long.wav", LONG)
    write_wav(folder / "prompts" / "beep.wav", SHORT)
    with serving(config) as server:
        yield server


async def test_the_example_plays_a_beep_to_who_presses_9(server: ServerProcess) -> None:
    environment = os.environ | {"ADMIN_URL": server.admin_url(""), "ADMIN_TOKEN": "of-the-agent"}
    client = await asyncio.create_subprocess_exec(
        sys.executable, ROOT / "examples/control.py", env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert (await client.stdout.readline()).startswith(b"connected None None")
            async with calling(server, "/keys") as (stream, heard):
                for digit in "59":
                    await ask(server, "POST", f"/v1/streams/{stream}/digits", {"digits": digit})
                lines = [(await client.stdout.readline()).decode() for _ in range(4)]
                await eventually(lambda: heard.messages[-1] == SILENCE and parts(SHORT)[4] in heard.messages)
        assert [line.split()[:2] for line in lines] == [
            [kind, stream] for kind in ("stream.started", "digits", "digits", "playback.done")
        ]
        assert [frame for frame in heard.messages if frame != SILENCE] == parts(SHORT)
    finally:
        client.kill()
        await client.wait()
