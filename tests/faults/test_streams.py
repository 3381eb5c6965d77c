"""Peers that do wrong on a stream: each costs its own, is counted by its kind, and leaves nothing behind."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.faults import peers
from tests.faults.beside import Report, Since, counting_server, fifty_calls
from tests.faults.peers import AUDIO, GARBAGE, PING, TEXT, Fault, drip_of, flood_of, frame, leave_after, say
from tests.server.process import ServerProcess, get
from tests.timing import PATIENCE, UNIT, eventually

HEARTBEAT, STALL = 1.0, 1.5
LARGEST = 65_536  # bytes of a message
SMALL, LARGE = 4_096, 32_768  # bytes of a peer's buffer: some hundred milliseconds of a stream, and some seconds
AT_ONCE = 1 * UNIT
FLOODERS = 10

CONTINUED = frame(b"", 0, fin=False)
BEGUN = frame(b"x", 2, fin=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("streams")
    limits: dict[str, Any] = {"heartbeat": HEARTBEAT, "stall_timeout": STALL, "max_message_bytes": LARGEST}
    with counting_server(directory, **limits) as server:
        yield server


@asynccontextmanager
async def misbehaving(
    server: ServerProcess, faults: Mapping[str, Fault], count: int, *, path: str = "/silence", buffer: int = 0
) -> AsyncIterator[None]:
    """So many peers with each fault, as long as this lasts; the name of the fault is in the log as the `call`."""
    over = threading.Event()
    each = [(f"{path}?call={name}", fault) for name, fault in faults.items() for _ in range(count)]
    bad = asyncio.create_task(asyncio.to_thread(peers.misbehave, server.port, each, over, buffer))
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
    lines = since.ended(path)
    assert Counter((line["call"], line["reason"]) for line in lines) == dict.fromkeys(reasons.items(), count)
    for reason, times in Counter(reasons.values()).items():
        ended = await since.count("mediaserver_sessions_ended_total", path=path, reason=reason)
        faults = await since.count("mediaserver_peer_faults_total", kind=reason)
        assert (ended, faults) == (times * count, 0 if reason == "peer-vanished" else times * count)
    return {name: max(line["duration_s"] for line in lines if line["call"] == name) for name in reasons}


@pytest.mark.parametrize(
    ("buffer", "faults"),
    [
        (
            SMALL,
            {
                "never-reads": (peers.never_reads, "unanswered", 3 * HEARTBEAT),
                "talks-and-never-reads": (peers.talks_and_never_reads, "stalled", 2.5 + STALL),
                "answers-once": (peers.answers_once, "unanswered", 4 * HEARTBEAT),
                "half-open": (peers.half_open, "stalled", 2.5 + STALL),
                "half-open-answered": (peers.half_open_after_an_answer, "unanswered", 3 * HEARTBEAT),
            },
        ),
        (LARGE, {"never-reads": (peers.never_reads, "unanswered", 2 + 3 * HEARTBEAT)}),
    ],
    ids=["small-buffer", "large-buffer"],
)
async def test_who_takes_nothing_or_is_not_there(
    server: ServerProcess, report: Report, buffer: int, faults: dict[str, tuple[Fault, str, float]]
) -> None:
    bad = {name: fault for name, (fault, _, _) in faults.items()}
    async with fifty_calls(server, report) as since, misbehaving(server, bad, 5, buffer=buffer):
        took = await dropped(since, {name: reason for name, (_, reason, _) in faults.items()}, 5)
    report("dropped_s", took)
    for name, (_, _, seconds) in faults.items():
        assert took[name] < seconds + AT_ONCE + since.lag(), name


FLOODS = {
    "audio": (flood_of(AUDIO), "flood"),
    "tiny": (flood_of(frame(b"")), "flood"),
    "large": (flood_of(frame(bytes(65_000))), "flood"),
    "pings": (flood_of(PING), "flood"),
    "full-pings": (flood_of(frame(bytes(125), 9)), "flood"),
    "text": (flood_of(TEXT), "flood"),
    "fragments": (flood_of(CONTINUED, first=BEGUN), "flood"),
    "fragments-one-by-one": (drip_of(CONTINUED, first=BEGUN), "oversize"),
    "one-byte-fragments": (drip_of(frame(b"x", 0, fin=False), first=BEGUN), "oversize"),
    "pings-in-fragments": (flood_of(PING + CONTINUED, first=BEGUN), "flood"),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_floods(server: ServerProcess, report: Report, name: str) -> None:
    flood, reason = FLOODS[name]
    async with fifty_calls(server, report) as since, misbehaving(server, {name: flood}, FLOODERS):
        took = await dropped(since, {name: reason}, FLOODERS)
        texts = await since.count("mediaserver_peer_faults_total", kind="text")
    report("dropped_s", took)
    assert took[name] < AT_ONCE + since.lag()
    assert texts == sum(line["texts"] for line in since.ended("/silence"))
    assert bool(texts) == (name == "text")


async def test_a_flood_to_one_who_listens(server: ServerProcess, report: Report) -> None:
    flood = {"audio": flood_of(AUDIO)}
    async with (
        fifty_calls(server, report) as since,
        misbehaving(server, flood, FLOODERS, path="/analyse"),
    ):
        report("dropped_s", await dropped(since, {"audio": "flood"}, FLOODERS, "/analyse"))


NONSENSE = {
    "oversize": {
        "a-byte-too-large": frame(bytes(LARGEST + 1)),
        "too-large-in-two": frame(bytes(LARGEST), fin=False) + frame(b"x", 0),
        "a-terabyte": b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4),
    },
    "protocol-error": {
        "garbage": GARBAGE,
        "reserved-bit": b"\xc2\x80" + bytes(4),
        "reserved-opcode": frame(b"", 3),
        "large-ping": frame(bytes(126), 9),
        "fragmented-ping": frame(b"", 9, fin=False),
        "continues-nothing": CONTINUED,
        "begins-twice": BEGUN + AUDIO,
        "not-utf-8": frame(b"\xff\xfe", 1),
        "half-a-close-code": frame(b"\x03", 8),
    },
}


@pytest.mark.parametrize("reason", NONSENSE)
async def test_nonsense(server: ServerProcess, report: Report, reason: str) -> None:
    bad = {name: say(what) for name, what in NONSENSE[reason].items()}
    async with fifty_calls(server, report) as since, misbehaving(server, bad, 5):
        took = await dropped(since, dict.fromkeys(bad, reason), 5)
    report("dropped_s", took)
    assert max(took.values()) < AT_ONCE + since.lag()


async def test_who_goes_without_a_goodbye(server: ServerProcess, report: Report) -> None:
    bad = {
        "mid-frame": leave_after(AUDIO[:100]),
        "mid-header": leave_after(AUDIO[:1]),
        "mid-message": leave_after(BEGUN),
        "reset": leave_after(b"", reset=True),
        "mid-frame-reset": leave_after(AUDIO[:100], reset=True),
    }
    async with fifty_calls(server, report) as since, misbehaving(server, bad, 5):
        took = await dropped(since, dict.fromkeys(bad, "peer-vanished"), 5)
    report("dropped_s", took)
    assert max(took.values()) < AT_ONCE + since.lag()


async def have_paused(server: ServerProcess, call: str, count: int) -> None:
    """Wait until so many streams of a call have paused for their peers, and have gone on for long enough since."""
    async with asyncio.timeout(PATIENCE):
        while True:
            _, text = await get(server.admin_url(f"/v1/streams?call={call}"))
            paused = [stream for stream in json.loads(text)["streams"] if stream["stalls"]]
            if len(paused) == count and all(stream["duration_s"] > 2 * STALL for stream in paused):
                return
            await asyncio.sleep(0.1)


async def test_who_is_let_be(server: ServerProcess, report: Report) -> None:
    over = threading.Event()
    bad = {
        "reads-slowly": peers.reads_slowly_until(over),
        "never-answers": peers.never_answers,
        "writes-letters": peers.writes_letters,
    }
    async with fifty_calls(server, report) as since:
        paused = asyncio.create_task(have_paused(server, "reads-slowly", 5))
        paused.add_done_callback(lambda _: over.set())
        async with misbehaving(server, bad, 5, buffer=SMALL):
            pass  # they go by themselves
        await paused
        took = await dropped(since, dict.fromkeys(bad, "peer-vanished"), 5)
        assert await since.count("mediaserver_peer_faults_total") == 5 * 10
    assert took["reads-slowly"] > 2 * STALL
    assert took["never-answers"] > 3 * HEARTBEAT
    for line in since.ended("/silence"):
        assert line["texts"] == (10 if line["call"] == "writes-letters" else 0)
        assert bool(line["stalls"]) == (line["call"] == "reads-slowly")
