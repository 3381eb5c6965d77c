"""More than the server takes: a call is refused with its reason, those in progress go on, places come back."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from tests.faults import healthy, peers
from tests.faults.beside import Report, counting_server, fifty_calls
from tests.server.process import ServerProcess, listen, upgrade_request
from tests.timing import UNIT, eventually

CALLS = healthy.LISTENING + healthy.TALKING
STREAMS, ON_PATH, OF_PEER, RATE = CALLS + 20, 5, CALLS + 10, 100
PATHS = """
[paths."/few"]
handler = "silence"
max_streams = 5
[paths."/short"]
handler = "silence"
time_limit = 0.5
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("limits")
    limits = {"max_streams": STREAMS, "max_streams_per_peer": OF_PEER, "handshake_rate": RATE}
    with counting_server(directory, PATHS, **limits) as server:
        yield server


def dial_all(port: int, count: int, path: str, *sources: str) -> Counter[str]:
    """So many from each address want a stream at once; the statuses that they are told. All hang up then."""
    with contextlib.ExitStack() as stack:
        calling = [peer for source in sources for peer in stack.enter_context(peers.crowd(port, count, source))]
        for peer in calling:
            peer.sendall(upgrade_request(path))
        return peers.answers(calling)


@pytest.mark.parametrize(
    ("path", "sources", "reason", "taken"),
    [
        ("/silence", ["127.0.0.1"], "peer-full", OF_PEER - CALLS),
        ("/silence", ["127.0.0.2", "127.0.0.3"], "full", STREAMS - CALLS),
        ("/few", ["127.0.0.2"], "path-full", ON_PATH),
    ],
)
async def test_places(
    server: ServerProcess, report: Report, path: str, sources: list[str], reason: str, taken: int
) -> None:
    async with fifty_calls(server, report) as since:
        for again in (1, 2):
            told = await asyncio.to_thread(dial_all, server.port, 30 // len(sources), path, *sources)
            assert told == {"101": taken, "503": 30 - taken}
            refused = await since.count("mediaserver_refusals_total", reason=reason, status="503")
            assert refused == again * (30 - taken)
            await eventually(partial(lambda times: len(since.ended(path)) == times * taken, again))
            await asyncio.sleep(0.3)  # of a second's worth of handshakes


async def test_handshakes_in_a_second(server: ServerProcess, report: Report) -> None:
    async with fifty_calls(server, report) as since:
        began = time.monotonic()
        told = await asyncio.to_thread(dial_all, server.port, 3 * RATE, "/few", "127.0.0.2")
        most = RATE * (2 + int(time.monotonic() - began))  # of the seconds that this has lasted, begun ones too
        busy = await since.count("mediaserver_refusals_total", reason="busy", status="503")
        assert 3 * RATE - most <= busy <= 3 * RATE - RATE // 2
        assert sum(told.values()) == 3 * RATE
        await asyncio.sleep(1)
        assert (await asyncio.to_thread(dial_all, server.port, 1, "/few", "127.0.0.2")) == {"101": 1}


async def test_how_long_a_stream_may_last(server: ServerProcess, report: Report) -> None:
    async with fifty_calls(server, report) as since:
        heard = await asyncio.gather(*(listen(server.url("/short")) for _ in range(5)))
        assert await since.count("mediaserver_sessions_ended_total", path="/short", reason="time-limit") == 5
    assert {each.close_code for each in heard} == {1008}
    # The limit is one of time: frames that the server was too late for are not sent.
    lag = since.lag() / 0.02
    assert all(24 - lag <= len(each.messages) <= 26 + 25 * UNIT + lag for each in heard)
