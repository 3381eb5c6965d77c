"""Streams leave no reference cycles behind, and other garbage is collected while few streams play."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from mediaserver import config
from mediaserver.audio.pcm import to_bytes
from mediaserver.server.garbage_collection import GarbageCollector
from mediaserver.server.server import Server
from mediaserver.speech.tts.spoken_text import split_pcm
from tests.bridge.bots import BotServer, echo
from tests.server.process import write_config
from tests.sound import speechlike, write_wav
from tests.timing import eventually
from tests.virtual import VirtualLoop, in_virtual_time

PATHS = """
[defaults]
framing = "pcm"
[paths."/prompt"]
handler = "playback"
prompt = "prompt"
[paths."/again"]
handler = "playback"
prompt = "prompt"
repeat = "forever"
encapsulation = "rtp"
[paths."/say"]
handler = "say"
text = "Hello."
fallback = "prompt"
[paths."/mixed"]
handler = "playback"
prompts = ["prompt", {{say = "Hello."}}]
[paths."/hold"]
handler = "hold-music"
prompts = ["*"]
[paths."/silence"]
handler = "silence"
[paths."/echo"]
handler = "echo"
[paths."/analyse"]
handler = "analyse"
[recognition.vosk]
url = "ws://127.0.0.1:1"
[paths."/recognise"]
handler = "recognise"
engine = "vosk"
[paths."/record"]
handler = "record"
directory = "{directory}"
[paths."/bridge"]
handler = "bridge"
url = "ws://127.0.0.1:{port}/echo"
[chat]
url = "http://127.0.0.1:1/v1"
[paths."/assistant"]
handler = "assistant"
instructions = "Be brief."
greeting = "Hello."
recognition_engine = "vosk"
[paths."/menu".menus.main]
play = "prompt"
keys.1 = {{ hangup = true }}
[paths."/menu"]
handler = "menu"
"""


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.fixture
def unfrozen() -> Iterator[None]:
    """Nothing is excluded from collections, as in a process of a server's own."""
    gc.unfreeze()
    yield
    gc.freeze()


async def _end(websocket: aiohttp.ClientWebSocketResponse, how: str) -> None:
    assert websocket._response.connection is not None
    transport = websocket._response.connection.transport
    assert transport is not None
    if how == "break":
        transport.abort()
    elif how == "error":
        transport.write(b"\xf2\x80abcd")  # reserved bits that nobody agreed to
        while not websocket.closed:
            await websocket.receive()


async def _channel(client: aiohttp.ClientSession, url: str, form: str, how: str) -> None:
    """A channel of Asterisk's, in a format that is supported or not."""
    async with client.ws_connect(url, protocols=["media"]) as websocket:
        await websocket.send_bytes(bytes(160))
        await websocket.send_str(f"MEDIA_START channel_id:x format:{form}")
        await websocket.send_str("DTMF_END digit:5")
        while (await websocket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        if not websocket.closed:
            await _end(websocket, how)


@pytest.mark.parametrize("how", ["close", "break", "error"])
async def test_streams_leave_no_cycles(tmp_path: Path, unfrozen: None, no_collection: None, how: str) -> None:
    write_wav(tmp_path / "prompts/prompt.wav", np.full(1600, 1000))
    bots = BotServer(echo=echo)
    await bots.start()
    settings, problems = config.load(write_config(tmp_path, PATHS.format(directory=tmp_path, port=bots.port)))
    server = Server(settings, "config.toml", problems)
    try:
        await server.start()
        gc.unfreeze()
        paths = [path.pattern for path in server.engine.table]
        async with aiohttp.ClientSession() as client:
            for path in paths:
                async with client.ws_connect(f"ws://127.0.0.1:{server.port}{path}") as websocket:
                    for frame in split_pcm(to_bytes(speechlike(1600)), 160):
                        await websocket.send_bytes(frame)
                    await websocket.receive()
                    await _end(websocket, how)
                for form in ("slin16", "ulaw", "opus"):
                    await _channel(client, f"ws://127.0.0.1:{server.port}{path}", form, how)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"no request at all\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        await eventually(lambda: not len(server.endpoint.connections) and not len(server.engine.streams))
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = (type(each) for each in gc.garbage)
        assert len(paths) == 13
        assert not Counter(kind.__name__ for kind in kinds if kind.__module__.startswith("mediaserver."))
    finally:
        await server.close()
        await bots.stop()


class Cycle:
    """A reference cycle that records when it is collected."""

    collected = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        type(self).collected += 1


@in_virtual_time
async def test_a_full_collection_waits_until_few_streams_play(loop: VirtualLoop) -> None:
    playing, Cycle.collected = 1000, 0
    garbage = GarbageCollector(lambda: playing)
    garbage.start()
    try:
        old = Cycle()
        gc.collect(1)
        gc.collect(1)  # from here on only a full one would look at it
        del old
        await asyncio.sleep(600)
        gc.collect(1)
        assert not Cycle.collected
        playing = 100
        await asyncio.sleep(60)
        assert Cycle.collected == 1
    finally:
        garbage.stop()


@in_virtual_time
async def test_after_a_long_full_collection_the_next_one_waits_until_no_stream_plays(loop: VirtualLoop) -> None:
    playing, cpu_time, lasts, Cycle.collected = 1, 0.0, 0.03, 0

    def cpu_clock() -> float:
        """Every other look at the clock, a collection lies between the look and the one before."""
        nonlocal cpu_time
        cpu_time += lasts
        return cpu_time

    garbage = GarbageCollector(lambda: playing, cpu_clock)
    garbage.start()
    try:
        await asyncio.sleep(60)
        old = Cycle()
        gc.collect(1)
        gc.collect(1)
        del old
        await asyncio.sleep(600)
        assert not Cycle.collected
        playing, lasts = 0, 0.001
        await asyncio.sleep(60)
        assert Cycle.collected == 1
        playing = 100
        old = Cycle()
        gc.collect(1)
        gc.collect(1)
        del old
        await asyncio.sleep(60)
        assert Cycle.collected == 2
    finally:
        garbage.stop()


@in_virtual_time
async def test_a_full_collection_waits_an_hour_at_most(loop: VirtualLoop) -> None:
    Cycle.collected = 0
    garbage = GarbageCollector(lambda: 1000)
    garbage.start()
    try:
        old = Cycle()
        gc.collect(1)
        gc.collect(1)
        del old
        await asyncio.sleep(3599)
        assert not Cycle.collected
        await asyncio.sleep(2)
        assert Cycle.collected == 1
    finally:
        garbage.stop()


@in_virtual_time
async def test_objects_of_the_start_are_excluded_until_stop(loop: VirtualLoop, unfrozen: None) -> None:
    thresholds = gc.get_threshold()
    garbage, other = GarbageCollector(lambda: 0), GarbageCollector(lambda: 0)
    garbage.start()
    other.start()
    assert gc.get_freeze_count() > 10_000
    garbage.stop()
    other.stop()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == thresholds


@in_virtual_time
async def test_what_the_process_has_excluded_before_stays_excluded(loop: VirtualLoop, unfrozen: None) -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    garbage = GarbageCollector(lambda: 0)
    garbage.start()
    garbage.stop()
    assert gc.get_freeze_count() >= before
