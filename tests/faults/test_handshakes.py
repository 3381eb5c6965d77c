"""Peers that never get as far as a stream: they are turned away in time, and cost nobody anything."""

import asyncio
import contextlib
import resource
import socket
import ssl
import statistics
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.faults import peers
from tests.faults.beside import Report, counting_server, descriptors, fifty_calls, most_logged, scrape
from tests.server.process import ServerProcess, upgrade_request
from tests.timing import PATIENCE, UNIT

MANY = 500
TIMEOUT = 1.0
LARGEST_HEAD = 2048
REQUEST = upgrade_request("/silence")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("handshakes")
    with counting_server(directory, handshake_timeout=TIMEOUT, max_header_bytes=LARGEST_HEAD) as server:
        yield server


def tell_all(port: int, count: int, what: bytes) -> Counter[str]:
    """So many say the same at once; the statuses that they are told."""
    with peers.crowd(port, count) as crowd:
        for peer in crowd:
            with contextlib.suppress(ConnectionError):
                peer.sendall(what)
        return peers.answers(crowd)


async def test_slowloris(server: ServerProcess, report: Report) -> None:
    def trickle() -> None:
        with peers.crowd(server.port, MANY) as slow:
            peers.trickle(slow, REQUEST, TIMEOUT + 0.5)
            peers.answers(slow)  # until the last of them was told

    async with fifty_calls(server, report) as since:
        await asyncio.to_thread(trickle)
        assert await since.count("mediaserver_peer_faults_total", kind="slow-handshake") == MANY
        assert await since.count("mediaserver_refusals_total", reason="slow-handshake", status="408") == MANY
        refused = [line for line in server.events("refused") if line["reason"] == "slow-handshake"]
        assert 0 < len(refused) <= most_logged(refused)


@pytest.mark.parametrize("request_", [b"", REQUEST[:-2]], ids=["silent", "unfinished"])
async def test_who_never_finishes_is_told_so(server: ServerProcess, report: Report, request_: bytes) -> None:
    async with fifty_calls(server, report) as since:
        assert await asyncio.to_thread(tell_all, server.port, 20, request_) == {"408": 20}
        assert await since.count("mediaserver_peer_faults_total", kind="slow-handshake") == 20


NO_REQUESTS = {
    ("431", "headers"): [
        b"GET /silence HTTP/1.1\r\nX: " + b"A" * LARGEST_HEAD,
        b"GET /" + b"A" * LARGEST_HEAD,
        REQUEST[:-2] + b"X: y\r\n" * LARGEST_HEAD,
    ],
    ("400", "malformed"): [
        b"\x16\x03\x01" + peers.GARBAGE[:200],  # the beginning of TLS
        peers.GARBAGE[:200] + b"\r\n\r\n",
        b"GET /silence HTTP/9.9\r\n\r\n",
        REQUEST[:-2] + b"bad\0header: x\r\n\r\n",
    ],
    ("405", "method"): [b"POST /silence HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000000\r\n\r\n"],
}


@pytest.mark.parametrize(("answer", "requests"), NO_REQUESTS.items(), ids=["too-large", "malformed", "endless"])
async def test_what_is_no_request(
    server: ServerProcess, report: Report, answer: tuple[str, str], requests: list[bytes]
) -> None:
    (status, reason), refused = answer, 20 * len(requests)
    async with fifty_calls(server, report) as since:
        for said in requests:
            told = await asyncio.to_thread(tell_all, server.port, 20, said)
            assert set(told) <= {status, ""}, said[:40]  # a reset may overtake the answer
        assert await since.count("mediaserver_refusals_total", reason=reason, status=status) == refused
        faults = await since.count("mediaserver_peer_faults_total", kind="malformed-request")
        assert faults == (refused if reason == "malformed" else 0)


async def test_who_comes_and_goes(server: ServerProcess, report: Report) -> None:
    def come_and_go() -> None:
        for n in range(MANY):
            with peers.connect(server.port) as peer:
                if n % 2:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.sendall(REQUEST[: n % len(REQUEST)])

    async with fifty_calls(server, report):
        await asyncio.to_thread(come_and_go)


# -- with TLS --------------------------------------------------------------------------------------

GRANTED, SPARE = 400, 132  # descriptors, and those that are for no connection of a media port
PROMPTLY = 0.2  # seconds for the handshake of a call on a machine that does nothing else


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """Trusts the certificate in a table `[tls]`."""
    directory, authority = tmp_path_factory.mktemp("certificate"), trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    issued.cert_chain_pems[0].write_to_path(directory / "chain.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context, f'[tls]\ncertificate = "{directory}/chain.pem"\nkey = "{directory}/key.pem"\n'


async def test_slowloris_by_tls(tmp_path: Path, report: Report, client: tuple[ssl.SSLContext, str]) -> None:
    context, table = client
    hello = bytes([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3])  # the beginning of a ClientHello

    def trickle(server: ServerProcess) -> int:
        with peers.crowd(server.port, MANY) as slow:
            peers.trickle(slow, hello, TIMEOUT + 0.5)
            return descriptors(server)

    with counting_server(tmp_path, table, handshake_timeout=TIMEOUT) as server:
        async with fifty_calls(server, report, context) as since:
            assert await asyncio.to_thread(trickle, server) < MANY
            told = await since.count("mediaserver_peer_faults_total", kind="slow-handshake")
            assert 0 < told <= MANY  # who came last may have gone in time


@pytest.fixture
def scarce(tmp_path: Path, client: tuple[ssl.SSLContext, str]) -> Iterator[ServerProcess]:
    """A server with few descriptors, and with patience: nobody is too late."""
    with counting_server(tmp_path, client[1], handshake_timeout=1000.0) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (GRANTED, GRANTED))
        yield server


async def test_who_comes_and_goes_without_tls(
    scarce: ServerProcess, report: Report, client: tuple[ssl.SSLContext, str]
) -> None:
    context = client[0]
    async with fifty_calls(scarce, report, context) as since:
        waited = []
        for _ in range(5):
            going = asyncio.create_task(asyncio.to_thread(peers.come_and_go, scarce.port, 2 * GRANTED))
            waited.append(await asyncio.to_thread(peers.dial_by_tls, scarce.port, "/silence", context))
            await going
            waited.append(await asyncio.to_thread(peers.dial_by_tls, scarce.port, "/silence", context))
        report("waited_ms", [round(1000 * seconds) for seconds in sorted(waited)])
        assert statistics.median(waited) < PROMPTLY * UNIT + since.lag()
        assert await since.count("mediaserver_refusals_total") == 0


async def test_who_stays_without_tls_and_comes_again(
    scarce: ServerProcess, report: Report, client: tuple[ssl.SSLContext, str]
) -> None:
    """The oldest of them gives way to each that comes, so that they keep nobody out, however many they are."""
    context, over = client[0], threading.Event()
    async with fifty_calls(scarce, report, context) as since:
        staying = asyncio.create_task(
            asyncio.to_thread(peers.stay_and_come_again, scarce.port, GRANTED - SPARE, over)
        )
        try:
            async with asyncio.timeout(PATIENCE):
                while await since.count("mediaserver_refusals_total", reason="descriptors") < 2 * SPARE:
                    await asyncio.sleep(0.02)
            waited = [
                await asyncio.to_thread(peers.dial_by_tls, scarce.port, "/silence", context) for _ in range(10)
            ]
            at_once = (await scrape(scarce))["mediaserver_handshakes"]
            assert descriptors(scarce) < GRANTED - SPARE / 2
        finally:
            over.set()
            replaced = await staying
        report("waited_ms", [round(1000 * seconds) for seconds in sorted(waited)])
        report("replaced", replaced)
        assert statistics.median(waited) < PROMPTLY * UNIT + since.lag()
        assert GRANTED / 2 < at_once < GRANTED - SPARE / 2
        await eventually_none(scarce)


async def eventually_none(server: ServerProcess) -> None:
    """Those that are gone are not counted any more."""
    async with asyncio.timeout(PATIENCE):
        while (await scrape(server))["mediaserver_handshakes"]:
            await asyncio.sleep(0.02)
