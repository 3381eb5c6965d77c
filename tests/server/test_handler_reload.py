"""Users' handlers that are edited while calls go on."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediaserver.audio.pcm import FRAME_SAMPLES, from_bytes
from tests.server.preloaded import MEDIASERVER
from tests.server.process import ServerProcess, connected, listen, listening, start, write_config
from tests.sound import write_wav
from tests.timing import eventually

HANDLER = """
import words
from mediaserver.handlers import Handler
class Mine(Handler):
    async def run(self, call):
        while True:
            await call.play(words.PROMPT)
"""
PATH = '[paths."/mine"]\nhandler = "mine:Mine"\n'
FRAMES = {name: bytes([number, 0]) * FRAME_SAMPLES for number, name in enumerate("abc", 1)}


class Edited:
    """A server with a handler in its working directory."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server, self.folder = server, folder

    def write(self, **modules: str) -> None:
        for name, text in modules.items():
            (self.folder / f"{name}.py").write_text(text)

    def taken(self) -> list[list[str]]:
        return [line["modules"] for line in self.server.events("configuration reloaded") if "modules" in line]

    def refused(self) -> list[str]:
        return [line["why"] for line in self.server.events("configuration rejected")]

    async def heard(self) -> bytes:
        """What the next caller receives."""
        return (await listen(self.server.url("/mine"), frames=1)).messages[0]


def edited(folder: Path, *options: str, **environment: str) -> Iterator[Edited]:
    config = write_config(folder, PATH)
    for name, frame in FRAMES.items():
        write_wav(folder / f"prompts/{name}.wav", from_bytes(frame))
    (folder / "mine.py").write_text(HANDLER)
    if not (folder / "words.py").exists():
        (folder / "words.py").write_text("PROMPT = 'a'")
    command = [*MEDIASERVER, "serve", "--config", str(config), *options]
    with listening(start(command, folder / "log", folder, **environment)) as server:
        yield Edited(server, folder)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Edited]:
    yield from edited(tmp_path)


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Edited]:
    for each in edited(tmp_path, "--reload"):
        each.server.wait_for_event("watching handlers")
        yield each


async def test_sighup_reloads_an_edited_module_for_calls_to_come(asked: Edited) -> None:
    async with connected(asked.server.url("/mine")) as call:
        assert await call.receive_bytes() == FRAMES["a"]
        asked.write(words="PROMPT = 'b'")  # as long as before, and perhaps within the same second
        asked.server.process.send_signal(signal.SIGHUP)
        await eventually(asked.taken)
        assert asked.taken() == [["words"]]
        assert await asked.heard() == FRAMES["b"]
        assert {await call.receive_bytes() for _ in range(20)} == {FRAMES["a"]}  # its own words, to its end
    asked.server.process.send_signal(signal.SIGHUP)
    await eventually(lambda: len(asked.server.events("configuration reloaded")) == 2)
    assert len(asked.taken()) == 1  # nothing has changed since


@pytest.mark.parametrize(
    ("line", "error"), [("def (", "SyntaxError"), ("import sys; sys.exit(3)", "ImportError: it calls sys.exit(3)")]
)
async def test_a_broken_module_leaves_the_old_one_in_force(asked: Edited, line: str, error: str) -> None:
    asked.write(words="PROMPT = 'b'", mine=HANDLER + line)
    asked.server.process.send_signal(signal.SIGHUP)
    await eventually(asked.refused)
    (why,) = asked.refused()
    assert f'handler "mine:Mine" cannot be imported: {error}' in why
    assert await asked.heard() == FRAMES["a"]
    asked.write(mine=HANDLER)
    asked.server.process.send_signal(signal.SIGHUP)
    await eventually(asked.taken)
    assert await asked.heard() == FRAMES["b"]


async def test_what_pip_has_installed_below_the_folder_stays(tmp_path: Path) -> None:
    """A library of `pip install --target lib` may fail when it is imported twice."""
    about = tmp_path / "lib/counter-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counter\nVersion: 1\n")
    (about / "RECORD").write_text("counter.py,,\ncounter-1.dist-info/METADATA,,\n")
    (tmp_path / "lib/counter.py").write_text("import itertools\nNUMBERS = itertools.count()\n")
    (tmp_path / "words.py").write_text("import counter\nPROMPT = 'abc'[next(counter.NUMBERS)]\n")
    for served in edited(tmp_path, PYTHONPATH=str(tmp_path / "lib")):
        assert await served.heard() == FRAMES["a"]
        served.write(words=(tmp_path / "words.py").read_text() + "# edited\n")
        served.server.process.send_signal(signal.SIGHUP)
        await eventually(served.taken)
        assert served.taken() == [["words"]]
        assert await served.heard() == FRAMES["b"]


async def test_another_mistake_of_the_configuration_leaves_the_old_module_in_force(asked: Edited) -> None:
    asked.write(words="PROMPT = 'b'")
    write_config(asked.folder, PATH + "[nothing]\n")
    await eventually(asked.refused)
    assert await asked.heard() == FRAMES["a"]
    write_config(asked.folder, PATH)
    await eventually(asked.taken)
    assert await asked.heard() == FRAMES["b"]


async def test_with_the_option_reload_an_edited_module_is_loaded_at_once(watching: Edited) -> None:
    watching.write(words="PROMPT = 'b'")
    await eventually(watching.taken)
    assert await watching.heard() == FRAMES["b"]
    watching.write(helper="PROMPT = ", words="from helper import PROMPT")
    await eventually(watching.refused)
    assert await watching.heard() == FRAMES["b"]
    watching.write(helper="PROMPT = 'c'")  # which is no module in use
    await eventually(lambda: len(watching.taken()) == 2)
    assert await watching.heard() == FRAMES["c"]


async def test_without_the_option_an_edited_module_waits_for_sighup(asked: Edited) -> None:
    asked.write(words="PROMPT = 'b'")
    assert await asked.heard() == FRAMES["a"]
    assert not asked.server.events("watching handlers")
