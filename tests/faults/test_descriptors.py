"""Out of file descriptors: new calls are refused, those on the line go on, and it recovers by itself."""

import asyncio
import contextlib
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.faults import healthy, peers
from tests.faults.beside import Report, counting_server, descriptors, fifty_calls, scrape
from tests.server.process import ServerProcess, listen, upgrade_request
from tests.timing import PATIENCE, UNIT

CALLS = healthy.LISTENING + healthy.TALKING
GRANTED = 320
SPARE = 132  # what the server keeps for all that is no connection of a media port
PLACES = GRANTED - SPARE - CALLS


PATIENT = 1000.0  # seconds for a handshake: nobody is too late


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    record = f'[paths."/record"]\nhandler = "record"\ndirectory = "{tmp_path}/recordings"\n'
    timeout = getattr(request, "param", 2.0)
    with counting_server(tmp_path / "server", record, handshake_timeout=timeout) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (GRANTED, GRANTED))
        yield server


@pytest.mark.parametrize("server", [PATIENT], indirect=True)
async def test_who_dawdles_makes_room(server: ServerProcess, report: Report) -> None:
    """A crowd that says nothing keeps nobody out."""
    more = 100
    async with fifty_calls(server, report) as since:
        with peers.crowd(server.port, PLACES + more):
            assert (await listen(server.url("/prompt"), frames=5)).messages == healthy.FRAMES[:5]
            assert descriptors(server) < GRANTED - SPARE / 2
        assert await since.count("mediaserver_refusals_total", reason="descriptors", status="503") == more + 1


async def only_healthy_calls(server: ServerProcess) -> None:
    """Wait until all others are gone. Until then the admin port may be cut off as well: it needs a descriptor."""
    connections = float("inf")
    async with asyncio.timeout(PATIENCE):
        while connections > CALLS:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                connections = (await scrape(server))["mediaserver_connections"]
            await asyncio.sleep(0.02)


async def test_calls_beyond_them_are_refused(server: ServerProcess, report: Report) -> None:
    more = 30

    def call() -> Counter[str]:
        with peers.crowd(server.port, PLACES) as calling:
            for peer in calling:
                peer.sendall(upgrade_request("/silence"))
            assert peers.answers(calling) == {"101": PLACES}
            with peers.crowd(server.port, more) as further:
                return peers.answers(further)

    async with fifty_calls(server, report) as since:
        assert await asyncio.to_thread(call) == {"503": more}
        assert await since.count("mediaserver_refusals_total", reason="descriptors", status="503") == more
        await only_healthy_calls(server)
        assert (await listen(server.url("/prompt"), frames=5)).messages == healthy.FRAMES[:5]


async def test_none_left_at_all(server: ServerProcess, report: Report) -> None:
    """Recordings take what was to spare. Then the system itself cuts newcomers off, or lets them wait."""

    def call() -> None:
        with peers.crowd(server.port, PLACES) as calling:
            for peer in calling:
                peer.settimeout(0.3 * UNIT)
                peer.sendall(upgrade_request("/record?encapsulation=sln"))
            told = peers.answers(calling)
            assert set(told) <= {"101", ""}
            assert told["101"] > PLACES / 2
            server.wait_for_event("recording failed")  # its file is opened after its peer was answered
            assert descriptors(server) == GRANTED
            with peers.crowd(server.port, 10) as further:
                for peer in further:
                    peer.settimeout(0.1)
                assert set(peers.answers(further)) <= {"", "503"}

    async with fifty_calls(server, report):
        await asyncio.to_thread(call)
        await only_healthy_calls(server)
        assert (await listen(server.url("/prompt"), frames=5)).messages == healthy.FRAMES[:5]
    assert not server.events("request failed")
