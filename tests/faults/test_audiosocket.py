"""Peers that do wrong on a port of AudioSocket: each costs its own, is counted, and leaves nothing behind."""

import asyncio
import contextlib
import resource
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mediaserver.transport.connection import CLOSE_TIMEOUT
from tests.faults import healthy, peers
from tests.faults.beside import (
    Report,
    Since,
    counting_server,
    descriptors,
    fifty_calls,
    most_logged,
    nothing_more,
    resident,
    scrape,
)
from tests.faults.peers import GARBAGE, Fault, drip_of, flood_of, leave_after, say
from tests.server.plain_peer import HANGUP, SILENCE, UUID_MESSAGE, dialled, message
from tests.server.process import ServerProcess, audiosocket_ports, listen
from tests.timing import PATIENCE, UNIT, eventually

HEARTBEAT, STALL, TIMEOUT = 0.5, 1.5, 1.0
LARGEST = 16_384  # bytes of a message
SMALL = 4_096  # bytes of a peer's buffer: some hundred milliseconds of a stream
AT_ONCE = 1 * UNIT
MANY, FLOODERS = 300, 10
CALLS = healthy.LISTENING + healthy.TALKING


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("audiosocket")
    limits = {
        "heartbeat": HEARTBEAT,
        "stall_timeout": STALL,
        "max_message_rate": 200,  # where messages are much work, a slow machine takes no more in a second
        "max_message_bytes": LARGEST,
        "handshake_timeout": TIMEOUT,
    }
    with counting_server(directory, audiosocket_ports("/silence", "/analyse"), **limits) as server:
        yield server


@asynccontextmanager
async def misbehaving(
    server: ServerProcess, faults: Mapping[str, Fault], count: int, *, path: str = "/silence", buffer: int = 0
) -> AsyncIterator[None]:
    """So many peers with each fault, as long as this lasts; the UUID of their calls tells which it was."""
    over = threading.Event()
    each = [(name, fault) for name, fault in faults.items() for _ in range(count)]
    port, dial = server.ports[path], peers.dial_audiosocket
    bad = asyncio.create_task(asyncio.to_thread(peers.misbehave, port, each, over, buffer, dial))
    try:
        yield
    finally:
        over.set()
        await bad


async def dropped(
    since: Since, reasons: Mapping[str, str], count: int, path: str = "/silence"
) -> dict[str, float]:
    """All peers with each fault are dropped for its reason, and counted so; seconds that it took."""
    await eventually(lambda: len(since.ended(path)) == count * len(reasons))
    names = {str(peers.uuid_of(name)): name for name in reasons}
    lines = [line | {"name": names[line["call"]]} for line in since.ended(path)]
    assert Counter((line["name"], line["reason"]) for line in lines) == dict.fromkeys(reasons.items(), count)
    for reason, times in Counter(reasons.values()).items():
        ended = await since.count("mediaserver_sessions_ended_total", path=path, reason=reason)
        assert ended == times * count
        faults = await since.count("mediaserver_peer_faults_total", kind=reason)
        assert faults == (0 if reason.startswith("peer-") else times * count)
    return {name: max(line["duration_s"] for line in lines if line["name"] == name) for name in reasons}


def talks_and_never_reads(peer: socket.socket) -> None:
    """It is alive, and takes nothing."""
    for _ in range(round(PATIENCE * 50)):
        peer.sendall(SILENCE)
        threading.Event().wait(0.02)


async def test_who_takes_nothing_or_is_not_there(server: ServerProcess, report: Report) -> None:
    bad = {
        "never-reads": peers.never_reads,
        "talks-and-never-reads": talks_and_never_reads,
        "half-open": peers.half_open,
    }
    async with fifty_calls(server, report) as since, misbehaving(server, bad, 5, buffer=SMALL):
        took = await dropped(since, dict.fromkeys(bad, "stalled"), 5)
    report("dropped_s", took)
    assert max(took.values()) < 2.5 + STALL + AT_ONCE + since.lag()


FLOODS = {
    "audio": flood_of(SILENCE),
    "empty": flood_of(message(0x10, b"")),
    "tiny": flood_of(message(0x10, b"x")),
    "large": flood_of(message(0x10, bytes(16_000))),
    "wideband": flood_of(message(0x18, bytes(7680))),
    "keys": flood_of(message(0x03, b"1")),
    "unknown": flood_of(message(0x77, bytes(100))),
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("path", ["/silence", "/analyse"])
async def test_floods(server: ServerProcess, report: Report, name: str, path: str) -> None:
    async with (
        fifty_calls(server, report) as since,
        misbehaving(server, {name: FLOODS[name]}, FLOODERS, path=path),
    ):
        took = await dropped(since, {name: "flood"}, FLOODERS, path)
    report("dropped_s", took)
    # Where it is much work, no more is taken in than may be sent.
    assert took[name] < 2 + 2 * AT_ONCE + since.lag()


async def test_messages_that_are_too_large(server: ServerProcess, report: Report) -> None:
    bad = {
        "a-byte-too-large": say(message(0x10, bytes(LARGEST - 2))),
        "never-whole": say(message(0x10, bytes(60_000))[: LARGEST + 1]),
        "little-by-little": drip_of(bytes(100), first=b"\x10\xff\xff"),
    }
    async with fifty_calls(server, report) as since, misbehaving(server, bad, 5):
        took = await dropped(since, dict.fromkeys(bad, "oversize"), 5)
    report("dropped_s", took)
    assert max(took.values()) < CLOSE_TIMEOUT + AT_ONCE + since.lag()  # they are told, and do not close


async def test_nonsense_is_borne_with(server: ServerProcess, report: Report) -> None:
    """What no wire allows is counted, and the stream goes on until the peer hangs up."""
    unknown = message(0x77, b"?") + message(0x03, b"xx") + message(0x01, b"short")
    bad = {"unknown": say(10 * unknown + HANGUP)}
    async with fifty_calls(server, report) as since:
        async with misbehaving(server, bad, 5):
            await asyncio.sleep(0.1)
        await dropped(since, {"unknown": "peer-hung-up"}, 5)
        assert await since.count("mediaserver_malformed_messages_total") == 5 * 30


async def test_who_goes_without_a_goodbye(server: ServerProcess, report: Report) -> None:
    """They have read nothing more: their kernel sends a reset sooner or later, with a FIN before it or not."""
    bad = {
        "mid-message": leave_after(SILENCE[:100], reset=True),
        "mid-header": leave_after(SILENCE[:1], reset=True),
        "reset": leave_after(b"", reset=True),
    }
    async with fifty_calls(server, report) as since, misbehaving(server, bad, 5):
        took = await dropped(since, dict.fromkeys(bad, "peer-vanished"), 5)
    report("dropped_s", took)
    assert max(took.values()) < AT_ONCE + since.lag()


# -- those that never get as far as a stream -------------------------------------------------------


def answers(crowd: list[socket.socket]) -> Counter[bytes]:
    """All that each of them is told, up to the server's close; the beginning of a stream, where there is one."""
    told: Counter[bytes] = Counter()
    for peer in crowd:
        said = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while len(said) < 100 and (data := peer.recv(100)):
                said += data
        told[said] += 1
    return told


async def test_slowloris(server: ServerProcess, report: Report) -> None:
    def trickle() -> Counter[bytes]:
        with peers.crowd(server.ports["/silence"], MANY) as slow:
            peers.trickle(slow, UUID_MESSAGE, TIMEOUT + 0.5)
            return answers(slow)

    async with fifty_calls(server, report) as since:
        assert await asyncio.to_thread(trickle) == {HANGUP: MANY}
        assert await since.count("mediaserver_peer_faults_total", kind="slow-handshake") == MANY
        assert await since.count("mediaserver_refusals_total", reason="slow-handshake", status="408") == MANY
        refused = [line for line in server.events("refused") if line["reason"] == "slow-handshake"]
        assert 0 < len(refused) <= most_logged(refused)


@pytest.mark.parametrize("said", [GARBAGE, b"\x01\x00\x0f" + bytes(15), b"GET / HTTP/1.1\r\n\r\n"])
async def test_what_is_no_uuid(server: ServerProcess, report: Report, said: bytes) -> None:
    def tell_all() -> Counter[bytes]:
        with peers.crowd(server.ports["/silence"], 20) as crowd:
            for peer in crowd:
                peer.sendall(said)
            return answers(crowd)

    async with fifty_calls(server, report) as since:
        assert await asyncio.to_thread(tell_all) == {HANGUP: 20}
        assert await since.count("mediaserver_peer_faults_total", kind="malformed-request") == 20


async def test_who_comes_and_goes(server: ServerProcess, report: Report) -> None:
    def come_and_go() -> None:
        for n in range(MANY):
            with peers.connect(server.ports["/silence"]) as peer:
                if n % 2:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.sendall(UUID_MESSAGE[: n % (len(UUID_MESSAGE) + 1)])

    async with fifty_calls(server, report):
        await asyncio.to_thread(come_and_go)


# -- out of descriptors ----------------------------------------------------------------------------

GRANTED, SPARE = 292, 132  # what the server keeps for all that is no connection of a media port
PLACES = GRANTED - SPARE - CALLS


PATIENT = 1000.0  # seconds for a handshake: nobody is too late


@pytest.fixture
def poor_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    ports = audiosocket_ports("/silence", "/elsewhere", allow=["127.0.0.1"])
    elsewhere = '[paths."/elsewhere"]\nhandler = "silence"\nallow = ["192.0.2.1"]\n'
    timeout = getattr(request, "param", 2.0)
    with counting_server(tmp_path / "server", ports + elsewhere, handshake_timeout=timeout) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (GRANTED, GRANTED))
        yield server


@pytest.mark.parametrize("poor_server", [PATIENT], indirect=True)
@pytest.mark.parametrize("path", ["/silence", "/elsewhere"])
async def test_who_dawdles_makes_room(poor_server: ServerProcess, report: Report, path: str) -> None:
    """A crowd that says nothing keeps nobody out; nor does one that is refused, and stays."""
    more, port = 100, poor_server.ports["/silence"]
    async with fifty_calls(poor_server, report) as since:
        with peers.crowd(poor_server.ports[path], PLACES + more):
            async with dialled(port) as peer:
                await peer.hear(5)
                assert (await listen(poor_server.url("/prompt"), frames=5)).messages == healthy.FRAMES[:5]
                assert descriptors(poor_server) < GRANTED - SPARE / 2
        if path == "/silence":
            refused = await since.count("mediaserver_refusals_total", reason="descriptors", status="503")
            assert refused == more + 2


async def test_calls_beyond_them_are_refused(poor_server: ServerProcess, report: Report) -> None:
    more, port = 30, poor_server.ports["/silence"]

    def call() -> Counter[bytes]:
        with peers.crowd(port, PLACES) as calling:
            for peer in calling:
                peer.sendall(UUID_MESSAGE)
            assert Counter(peer.recv(3) for peer in calling) == {b"\x10\x01\x40": PLACES}
            with peers.crowd(port, more) as further:
                for peer in further:
                    peer.sendall(UUID_MESSAGE)
                return answers(further)

    async with fifty_calls(poor_server, report) as since:
        assert await asyncio.to_thread(call) == {HANGUP: more}
        assert await since.count("mediaserver_refusals_total", reason="descriptors", status="503") == more
        async with asyncio.timeout(PATIENCE):
            while (await scrape(poor_server))["mediaserver_connections"] > CALLS + 1:
                await asyncio.sleep(0.02)
        async with dialled(port) as peer:
            await peer.hear(5)


# -- round after round -----------------------------------------------------------------------------

ROUNDS, PEERS = 3, 12
PER_CONNECTION = 15_000  # bytes; an idle stream has half as many again
FAULTS = [
    say(message(0x10, bytes(LARGEST))),
    leave_after(SILENCE[:100]),
    leave_after(SILENCE[:100], reset=True),
    flood_of(SILENCE),
    flood_of(message(0x10, b"")),
    peers.half_open,
]


async def rounds(server: ServerProcess) -> None:
    """Several, all faults at once."""
    for _ in range(ROUNDS):
        over = threading.Event()
        asyncio.get_running_loop().call_later(1, over.set)
        each = [(str(n), fault) for n, fault in enumerate(FAULTS)] * PEERS
        port = server.ports["/silence"]
        await asyncio.to_thread(peers.misbehave, port, each, over, SMALL, peers.dial_audiosocket)


async def test_memory(tmp_path: Path) -> None:
    ports = audiosocket_ports("/silence")
    with counting_server(tmp_path, ports, stall_timeout=0.2, max_message_bytes=LARGEST) as server:
        await rounds(server)
        held, warm = await nothing_more(server), resident(server)
        await rounds(server)
        assert await nothing_more(server, expected=held) == held
        # A busy machine is still closing connections when the peers have gone, so what is measured is what stays.
        assert resident(server) - warm < ROUNDS * PEERS * len(FAULTS) * PER_CONNECTION
