"""The table of streams by WebSocket: all rows, then what changes, and how many streams are looked at for it."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from mediaserver.call import Call, End, EndReason, Session, Stream
from mediaserver.call.event_sink import NullEventSink
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.noise import Silence
from mediaserver.routing.route import Route
from mediaserver.runtime.registry import StreamRegistry
from mediaserver.server.admin.live import overview
from mediaserver.server.admin.live.overview import COLUMNS, Overview
from mediaserver.support.metrics import Metrics
from mediaserver.wire.encapsulation import Encapsulation, RtpPayload, WireSettings
from mediaserver.wire.rtp import Packetizer, PayloadType
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.server.admin.live_calls import CONFIG, LONG, ask, bearer, calling, message
from tests.server.process import ServerProcess, connected, serving, write_config
from tests.sound import write_wav
from tests.timing import PATIENCE
from tests.virtual import VirtualLoop, in_virtual_time

LIBRARY = library_of({})
ROUTE = Route("/path/{name}", Silence, {}, WireSettings())


class Streams(StreamRegistry):
    """A registry that counts which of its streams are looked at."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(Metrics(), NullEventSink())
        self.loop, self.looks = loop, 0

    def begin(self, *names: str) -> None:
        for name in names:
            stream = Stream(name, f"/path/{name}", "peer", call=f"call-{name}")
            self.register(Caller(self.loop, LIBRARY, stream=stream).session, ROUTE)

    def end(self, *names: str) -> None:
        for name in names:
            session = self.get(name)
            assert session is not None
            session.finish(End(EndReason.PEER_CLOSED, 1000))
            self.unregister(session)

    def label(self, name: str, label: str) -> None:
        session = self.get(name)
        assert session is not None
        session.operator.update_stream(label=label)

    def number_of(self, session: Session) -> int:
        self.looks += 1
        return super().number_of(session)


class Peer:
    """A peer that watches, and keeps the table as the messages say."""

    def __init__(self, table: Overview) -> None:
        self.table, self.seen, self.rows = table, 0, dict[str, dict[str, Any]]()
        self.messages: list[dict[str, Any]] = []

    async def watch(self) -> None:
        with self.table.watching():
            while True:
                text = await self.table.next_message(self.seen)
                self.seen = self.table.turn
                if text:
                    self.take(json.loads(text))

    def take(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self.rows = {} if "columns" in message else self.rows
        for row in message["rows"]:
            self.rows[row[0]] = dict(zip(COLUMNS, row, strict=True))
        for name in message["ended"]:
            self.rows.pop(name, None)


@in_virtual_time
async def test_a_peer_gets_all_and_then_what_changes_once_a_second(loop: VirtualLoop) -> None:
    streams = Streams(loop)
    streams.begin("a", "b")
    peer = Peer(Overview(streams, loop.time))
    watching = asyncio.create_task(peer.watch())
    await asyncio.sleep(0.5)
    assert peer.messages == [
        {
            "now": 0.0, "total": 2, "ended": [], "columns": list(COLUMNS),
            "rows": [
                [
                    *(name, f"/path/{name}", "in", "peer", "audiosocket/pcm", "auto"),
                    *(0.0, 0, 0, "", f"call-{name}", "", ""),
                ]
                for name in "ab"
            ],
        }
    ]  # fmt: skip
    await asyncio.sleep(5)
    assert len(peer.messages) == 1  # as nothing has changed
    streams.label("a", "seven")
    streams.begin("c")
    streams.end("b")
    await asyncio.sleep(1)
    latest = peer.messages[-1]
    assert len(peer.messages) == 2
    assert (latest["now"], latest["total"], latest["ended"]) == (6.0, 2, ["b"])
    assert [row[0] for row in latest["rows"]] == ["c", "a"]
    assert (peer.rows["a"]["label"], peer.rows["c"]["began"]) == ("seven", 5.5)
    watching.cancel()
    await asyncio.wait((watching,))
    streams.looks = 0
    await asyncio.sleep(5)
    assert streams.looks == 0  # as nobody watches


@in_virtual_time
async def test_of_many_streams_some_are_looked_at_in_a_second_for_all_peers_together(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_PER_TURN", 40)
    names = [f"s{n:03}" for n in range(100)]
    streams = Streams(loop)
    streams.begin(*names)
    table = Overview(streams, loop.time)
    peers = [Peer(table), Peer(table)]
    watching = [asyncio.create_task(peer.watch()) for peer in peers]
    await asyncio.sleep(0.5)
    assert (streams.looks, *(list(peer.rows) for peer in peers)) == (100, names, names)
    streams.looks = 0
    for name in names:
        streams.label(name, "new")
    counts = []
    for _ in range(3):
        await asyncio.sleep(1)
        counts.append(sum(row["label"] == "new" for row in peers[0].rows.values()))
    assert (streams.looks, counts) == (120, [40, 80, 100])
    assert peers[0].rows == peers[1].rows
    streams.begin(*(f"t{n:03}" for n in range(50)))  # a crowd, which takes two turns
    await asyncio.sleep(1)
    assert (len(peers[0].rows), peers[0].messages[-1]["total"]) == (140, 150)
    await asyncio.sleep(1)
    assert len(peers[0].rows) == len(peers[1].rows) == 150
    for task in watching:
        task.cancel()
    await asyncio.wait(watching)


@in_virtual_time
async def test_a_peer_that_has_missed_a_turn_gets_all_rows_again(loop: VirtualLoop) -> None:
    streams = Streams(loop)
    streams.begin("a", "b", "c")
    table = Overview(streams, loop.time)
    with table.watching():
        await table.next_message(0)
        seen = table.turn
        await asyncio.sleep(1.5)
        streams.end("b")
        await asyncio.sleep(1)
        found = json.loads(await table.next_message(seen))
    assert [row[0] for row in found["rows"]] == ["a", "c"]
    assert found["columns"] == list(COLUMNS)


@in_virtual_time
async def test_streams_may_end_while_others_are_looked_at(loop: VirtualLoop) -> None:
    streams = Streams(loop)
    streams.begin(*(f"s{n}" for n in range(50)))
    table = Overview(streams, loop.time)
    with table.watching():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        streams.end(*(f"s{n}" for n in range(10, 50)))
        found = json.loads(await table.next_message(0))
        assert found["total"] == 10
        await asyncio.sleep(1.5)
        found = json.loads(await table.next_message(0))
    assert [row[0] for row in found["rows"]] == [f"s{n}" for n in range(10)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("overview")
    config = write_config(folder, CONFIG)
    write_wav(folder / "prompts" / "long.wav", LONG)
    with serving(config) as server:
        yield server


async def test_streams_that_begin_and_end_are_told_by_websocket(server: ServerProcess) -> None:
    url = server.admin_url("/v1/overview").replace("http", "ws")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(url):
            pass
    assert refused.value.status == 401
    async with connected(url, headers=bearer("reader")) as websocket:
        first = await message(websocket)
        assert (first["total"], first["rows"], first["columns"]) == (0, [], list(COLUMNS))
        async with calling(server, "/long") as (stream, _):
            found = await message(websocket)
            ((identity, path, direction, *_, label, _),) = found["rows"]
            assert (identity, path, direction, label, found["total"]) == (stream, "/long", "in", "", 1)
            await ask(server, "PUT", f"/v1/streams/{stream}/label", {"label": "seven"})
            async with asyncio.timeout(PATIENCE):
                while not found["rows"] or found["rows"][0][-2] != "seven":
                    found = await message(websocket)
        async with asyncio.timeout(PATIENCE):
            while found["ended"] != [stream]:
                found = await message(websocket)
        assert found["total"] == 0


@in_virtual_time
async def test_what_plays_and_what_is_bad_is_told(loop: VirtualLoop) -> None:
    streams = Streams(loop)
    settings = WireSettings(encapsulation=Encapsulation.RTP, rtp_payload=RtpPayload.PCMU)
    caller = Caller(loop, library_of({"one": np.ones(16_000, dtype=np.int16)}), settings)
    caller.quiet = True
    streams.register(caller.session, ROUTE)
    peer = Peer(Overview(streams, loop.time))
    watching = asyncio.create_task(peer.watch())
    packets = list(itertools.islice(Packetizer(PayloadType.PCMU).packets(itertools.repeat(bytes(160))), 100))

    async def run(call: Call) -> None:
        with call.listen_pcm(lambda pcm: None):
            playing = asyncio.create_task(call.play("one"))
            for n in (n for n in range(100) if n % 10 != 4):
                caller.session.receive_binary(packets[n][-172:])
            await asyncio.sleep(1.5)
            told.append(peer.rows["id"])
            call.notify(EventKind.WEBHOOK_FAILED, {"menu": "main", "webhook": "x", "why": "no answer"})
            caller.session.receive_text('{"event": "dtmf", "digit": "1"}')
            await playing
            await asyncio.sleep(1.5)
            told.append(peer.rows["id"])

    told = list[dict[str, Any]]()
    await caller.call(run, 5000)
    watching.cancel()
    facts = [[row[key] for key in ("playing", "wire", "inbound", "lost", "problems")] for row in told]
    assert facts == [
        ["one", "rtp/pcmu", "mulaw", 10, "loss"],
        ["", "rtp/pcmu", "mulaw", 10, "webhook.failed, loss, texts"],
    ]
