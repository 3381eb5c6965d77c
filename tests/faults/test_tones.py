"""Strangers ask for new tones, the longest that there are, beside fifty healthy calls."""

import asyncio
import itertools
import socket
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.faults import peers
from tests.faults.beside import Report, counting_server, fifty_calls
from tests.server.process import ServerProcess, upgrade_request
from tests.timing import eventually

PATHS = """
[paths."/tone/{tone}"]
handler = "tone"
tone = "{tone}"
"""
RATE, SECONDS = 20, 3  # tones asked for in a second, and for how long
_FREQUENCIES = itertools.count(4001)  # in tenths of a Hz: no tone is asked for twice


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with counting_server(tmp_path_factory.mktemp("tones"), PATHS) as server:
        yield server


def longest() -> str:
    """A path that takes as long as any: four tones at once, and a swell, for 20 s."""
    hz = next(_FREQUENCIES) / 10
    return "/tone/" + quote(f"!{hz}+{hz + 100:.1f}+{hz + 200:.1f}+1000.1*16/19999,0/1", safe="")


def ask_for_tones(port: int) -> int:
    """Dial for tones, a peer each; how many of them hear one in the end."""
    dialled: list[socket.socket] = []
    begun = time.monotonic()
    for n in range(RATE * SECONDS):
        time.sleep(max(0.0, begun + n / RATE - time.monotonic()))
        peer = peers.connect(port)
        peer.sendall(upgrade_request(longest()))
        dialled.append(peer)
    heard = 0
    for peer in dialled:
        with peer:
            received = b""
            while not any(received.partition(b"\r\n\r\n")[2].replace(b"\x82\x7e\x01\x40", b"")):
                received += peer.recv(65536)
            heard += received.startswith(b"HTTP/1.1 101")
    return heard


async def test_tones_are_rendered_beside_healthy_calls(server: ServerProcess, report: Report) -> None:
    async with fifty_calls(server, report) as since:
        heard = await asyncio.to_thread(ask_for_tones, server.port)
        assert heard == RATE * SECONDS
        await eventually(lambda: sum("/tone/" in line["path"] for line in ended(server)) >= heard)
        report("skipped_ticks", await since.count("mediaserver_skipped_ticks_total"))


def ended(server: ServerProcess) -> list[dict[str, str]]:
    """The log's lines of streams that ended."""
    return server.events("stream ended")


async def test_tones_that_are_too_long_are_refused(server: ServerProcess, report: Report) -> None:
    tones = ["440/20001", "!440/10000,480/10001", "dtmf:" + 33 * "1", "440," * 60]
    paths = ["/prompt?repeat=0", *("/tone/" + quote(tone, safe="") for tone in tones)]
    async with fifty_calls(server, report) as since:
        told = await asyncio.to_thread(answers, server.port, list(map(upgrade_request, paths)))
        assert told == {"400": len(paths)}
        assert await since.count("mediaserver_refusals_total", reason="too-long", status="400") == len(tones)


def answers(port: int, requests: list[bytes]) -> Counter[str]:
    """The statuses that these requests are answered with."""
    dialled = [peers.connect(port) for _ in requests]
    for peer, request in zip(dialled, requests, strict=True):
        peer.sendall(request)
    told = peers.answers(dialled)
    for peer in dialled:
        peer.close()
    return told
