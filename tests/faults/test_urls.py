"""URLs that are made to be slow: they are turned down, or taken in, before a healthy call is late."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.faults import peers
from tests.faults.beside import Report, counting_server, fifty_calls
from tests.server.process import ServerProcess, upgrade_request

TIMES = 24
PATHS = """
[paths."/a/{x:.+}/b/{y:.+}/c/{z:.+}"]
handler = "silence"
tokens = ["sesame"]
"""
SLIPS = [f"repea{n:03x}" for n in range(1700)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with counting_server(tmp_path_factory.mktemp("urls"), PATHS) as server:
        yield server


def ask(port: int, path: str) -> dict[str, int]:
    """The statuses of those who all dial the same URL at once."""
    with peers.crowd(port, TIMES) as crowd:
        for peer in crowd:
            peer.sendall(upgrade_request(path))
        return peers.answers(crowd)


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/silence?" + "&".join(SLIPS), "400", "bad-query"),
        ("/a" + "/b" * 7000, "414", "long-path"),
        ("/a/" + "/" * 15_000, "414", "long-path"),
        ("/a" + "/b" * 60 + "/" + "x" * 130, "404", "unknown-path"),
    ],
    ids=["keys", "segments", "slashes", "as-long-as-may-be"],
)
async def test_a_url_that_is_slow_to_look_at(
    server: ServerProcess, report: Report, path: str, status: str, reason: str
) -> None:
    async with fifty_calls(server, report) as since:
        logged = server.log_file.stat().st_size
        assert await asyncio.to_thread(ask, server.port, path) == {status: TIMES}
        assert await since.count("mediaserver_refusals_total", reason=reason, status=status) == TIMES
        assert server.log_file.stat().st_size - logged < TIMES * 2000


async def test_slips_in_a_query(server: ServerProcess, report: Report) -> None:
    async with fifty_calls(server, report):
        told = len(server.events("query key unknown"))
        for _ in range(3):
            path = "/silence?" + "&".join(SLIPS[:100])
            assert await asyncio.to_thread(ask, server.port, path) == {"101": TIMES}
        assert 0 < len(server.events("query key unknown")) - told < 3 * TIMES
