"""Strangers have more spoken than an engine keeps up with, beside fifty healthy calls and texts of ours."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediaserver.audio.containers import wav
from mediaserver.audio.pcm import to_bytes
from tests.faults import peers
from tests.faults.beside import Report, counting_server, fifty_calls
from tests.server.process import ServerProcess, listen, refusal, upgrade_request
from tests.sound import speechlike
from tests.timing import TIMEOUT as LONGEST
from tests.timing import UNIT

STRANGERS, TEXTS, MOST = 20, 3, 5
SPEAKS, TIMEOUT = 0.6 * UNIT, 3 * UNIT  # seconds that the program takes, and that it may
PATHS = """
[speech]
engine = "command"
timeout = {timeout}
[speech.command]
program = {program}
[paths."/say"]
handler = "say"
text_from_url = true
linger_ms = 0
[paths."/ours/{{number}}"]
handler = "say"
text = "Number {{number}}."
tokens = ["secret"]
linger_ms = 0
[paths."/off"]
handler = "say"
text = "Hello."
"""


def serving(directory: Path, most: int, timeout: float) -> Iterator[ServerProcess]:
    sound = to_bytes(speechlike(800))
    (directory / "sound.wav").write_bytes(wav.header(1, len(sound)) + sound)
    program = ["sh", "-c", f"sleep {SPEAKS}; cat {directory}/sound.wav"]
    paths = PATHS.format(timeout=timeout, program=json.dumps(program))
    with counting_server(directory, paths, max_texts_per_peer=most) as server:
        server.wait_for_event("worker processes ready")  # of the engine
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    yield from serving(tmp_path_factory.mktemp("texts"), 100_000, TIMEOUT)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    yield from serving(tmp_path_factory.mktemp("strict"), MOST, LONGEST)


def speak_without_end(port: int, number: int, over: threading.Event) -> int:
    """Have one new text after the other spoken; how many were dialled. Some are always about to be given up."""
    dialled = 0
    over.wait(number * TIMEOUT / STRANGERS)
    while not over.is_set():
        dialled += 1
        with peers.connect(port) as peer:
            peer.sendall(upgrade_request(f"/say?text=Caller%20{number}%20says%20{dialled}."))
            while not over.is_set():
                try:
                    if not peer.recv(65536):
                        break
                except ConnectionError:
                    break
    return dialled


async def test_texts_of_strangers_keep_no_other_waiting(server: ServerProcess, report: Report) -> None:
    async with fifty_calls(server, report):
        loop, over = asyncio.get_running_loop(), threading.Event()
        threads = ThreadPoolExecutor(STRANGERS)
        strangers = [
            loop.run_in_executor(threads, speak_without_end, server.port, n, over) for n in range(STRANGERS)
        ]
        try:
            await asyncio.sleep(1.2 * TIMEOUT)  # they all wait by now
            ours = [await listen(server.url(f"/ours/{n}?token=secret")) for n in range(TEXTS)]
        finally:
            over.set()
            await asyncio.gather(*strangers)
            threads.shutdown()
        assert Counter(call.close_code for call in ours) == {1000: TEXTS}
        sound = to_bytes(speechlike(800))
        assert all(sound in b"".join(call.messages) for call in ours)


async def test_different_texts_a_minute(strict: ServerProcess, report: Report) -> None:
    async with fifty_calls(strict, report) as since:
        urls = [strict.url(f"/say?text=Text%20{n}.") for n in range(MOST)]
        assert {call.close_code for call in [await listen(url) for url in urls]} == {1000}
        assert (await refusal(strict.url("/say?text=One%20more."))) == (
            429,
            f"{MOST} different texts a minute are spoken for one address: try again in a minute\n",
        )
        assert (await listen(urls[0])).close_code == 1000  # it is there
        assert (await listen(strict.url("/ours/77?token=secret"))).close_code == 1000  # that is no stranger
        assert await since.count("mediaserver_refusals_total", reason="too-many-texts", status="429") == 1


async def test_an_open_path_says_no_text_of_a_url_but_where_it_is_told_to(strict: ServerProcess) -> None:
    status, text = await refusal(strict.url("/off?text=Hello"))
    assert (status, text) == (
        400,
        "text: this path does not speak text of a URL: set tokens or text_from_url = true for it\n",
    )
