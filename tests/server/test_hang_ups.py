"""Many streams that end in one moment hold up neither the event loop nor the frames of the others."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from mediaserver.audio.pcm import PTIME
from mediaserver.events.hub import HubEvent
from mediaserver.events.kinds import EventKind
from mediaserver.server.server import Server
from mediaserver.transport.masking import mask
from mediaserver.wire import websocket
from tests.server.in_process import running
from tests.server.process import upgrade_request
from tests.timing import eventually

STREAMS = 60
GOODBYE = mask(websocket.close(1000), bytes(4))


@contextlib.asynccontextmanager
async def playing(folder: Path, count: int) -> AsyncIterator[tuple[Server, list[asyncio.StreamWriter]]]:
    """A server that sends silence to so many peers, and their connections."""
    peers: list[asyncio.StreamWriter] = []
    async with running(folder, '[paths."/"]\nhandler = "silence"\n') as server:
        try:
            for _ in range(count):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                peers.append(writer)
                writer.write(upgrade_request("/"))
            await eventually(lambda: len(server.engine.streams) == count)
            yield server, peers
        finally:
            for writer in peers:
                writer.transport.abort()


@pytest.mark.parametrize("how", ["goodbye", "reset"])
async def test_a_few_streams_are_ended_in_each_turn_of_the_event_loop(tmp_path: Path, how: str) -> None:
    """Each writes its log line and emits its event, which takes a quarter of a millisecond."""
    async with playing(tmp_path, STREAMS) as (server, peers):
        loop, turn, ended = asyncio.get_running_loop(), 0, Counter[int]()

        def begin_turn() -> None:
            nonlocal turn
            turn += 1
            loop.call_soon(begin_turn)

        def count(event: HubEvent) -> bool:
            ended[turn] += event.kind == EventKind.STREAM_ENDED
            return False

        server.engine.events.subscribe(wanted=count)
        begin_turn()
        for writer in peers:
            writer.transport.abort() if how == "reset" else writer.write(GOODBYE)
        await eventually(lambda: not len(server.engine.streams))
        assert ended.total() == STREAMS
        assert max(ended.values()) <= 8


async def test_overdue_frames_are_sent_amid_what_many_connections_do_at_once(tmp_path: Path) -> None:
    async with playing(tmp_path, 2) as (server, _):
        ticker, ending = server.engine.ticker, min(server.endpoint.connections._websockets, key=id)
        await eventually(lambda: ticker.frames > 2)

        def sent_amid(work: Callable[[], None]) -> int:
            """How many frames are sent while a piece of work is done, before which the event loop was held up."""
            time.sleep(2 * PTIME)
            before = ticker.frames
            work()
            return ticker.frames - before

        assert sent_amid(partial(ending.data_received, GOODBYE))
        assert sent_amid(partial(ending.connection_lost, None))
