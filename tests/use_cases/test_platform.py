"""The platform as it was seen to be: µ-law to us, media that comes late, networks that stall, files' short ends.

All of it holds on calls and in conferences, by each encapsulation, to the bit.
"""

import asyncio
import io
import itertools
import json
import struct
import time
import wave
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.call import EndReason, Session, Stream, wire_facts
from mediaserver.wire.encapsulation import Encapsulation, WireSettings
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.wire import Wire
from tests.bridge.bots import BotConnection, BotServer
from tests.client.attached import Desk, desk
from tests.handlers.test_handlers import library_of
from tests.server.process import ServerProcess
from tests.sound import speechlike, write_wav
from tests.speech.stt_servers import SttServer
from tests.timing import UNIT, eventually, late
from tests.twin import PTIME, Captured, Twin, captured, captured_speech, coded
from tests.use_cases.backend import SECRET, Backend
from tests.use_cases.conftest import Serve, attach
from tests.use_cases.platform import (
    ENCAPSULATIONS,
    EVERYWHERE,
    FRAME_BYTES,
    GREETING,
    Line,
    dial,
    everywhere,
    queues,
)
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

SALES = to_bytes(speechlike(2000, 8))


def opened(directory: Path, twin: Twin, paths: str, more: str = "") -> AbstractAsyncContextManager[Desk]:
    """An engine that dials one stream in each frame's time, with the prompts of these tests."""
    write_wav(directory / "prompts/greeting.wav", from_bytes(GREETING))
    write_wav(directory / "prompts/sales.wav", from_bytes(SALES))
    return desk(directory, twin, paths.replace("DIRECTORY", str(directory)), more=f"dial_rate = 50\n{more}")


# -- the first word --------------------------------------------------------------------------------


RECORD = """
[paths."/record"]
handler = "record"
directory = "DIRECTORY"
file = "{id}.wav"
prompt = "greeting"
"""


async def test_a_recording_is_what_was_said_from_the_first_frame_on(tmp_path: Path, twin: Twin) -> None:
    async def talk(line: Line, said: bytes) -> None:
        line.say(said)
        await line.until_heard(GREETING)
        await line.hang_up()
        line.assert_greeted()
        assert coded(said) in line.stream.said
        assert line.recording(tmp_path) == line.stream.said

    async with opened(tmp_path, twin, RECORD) as ours:
        await everywhere(ours, twin, "/record", talk)


ECHO = """
[paths."/echo"]
handler = "echo"
delay_ms = 1000
"""


async def test_an_echo_gives_back_what_was_said(tmp_path: Path, twin: Twin) -> None:
    async def say(line: Line, said: bytes) -> bool:
        """Whether it came back whole. If we stand still for longer than the echo's buffer lasts, it does not."""
        skipped, echo = line.skipped, coded(said)
        line.say(said)
        await eventually(lambda: echo in line.stream.heard or line.skipped > skipped)
        return echo in line.stream.heard

    async def talk(line: Line, said: bytes) -> None:
        at_once = whole = await say(line, said)
        while not whole:
            await line.until_quiet(1.5)  # what is left of the echo comes before its delay and slack are over
            whole = await say(line, said)
            await line.until_quiet(1.5)
        await line.hang_up()
        assert not at_once or line.stream.heard.strip(b"\0") == coded(said).strip(b"\0")

    async with opened(tmp_path, twin, ECHO) as ours:
        await everywhere(ours, twin, "/echo", talk)


ANALYSE = """
[paths."/analyse"]
handler = "analyse"
interval = 3600
directory = "DIRECTORY"
file = "{id}.jsonl"
"""


async def test_an_analysis_is_of_what_was_said(tmp_path: Path, twin: Twin) -> None:
    async def talk(line: Line, said: bytes) -> None:
        line.say(said)
        await line.arrived()
        line.stream.press("42#")
        await line.hang_up()
        (report,) = map(json.loads, (tmp_path / f"{line.resource.id}.jsonl").read_text().splitlines())
        heard = from_bytes(line.stream.said).astype(float) / 32_768
        assert report["heard_s"] == len(heard) / 8000
        assert report["rms_dbfs"] == round(10 * np.log10(np.mean(heard**2)) + 10 * np.log10(2), 1)
        assert report["peak_dbfs"] == round(20 * np.log10(np.abs(heard).max()), 1)
        assert report["digits"] == "42#"

    async with opened(tmp_path, twin, ANALYSE) as ours:
        await everywhere(ours, twin, "/analyse", talk)


MENU = """
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "greeting"
keys.1 = { menu = "sales" }
timeout = 30
[paths."/menu".menus.sales]
play = "sales"
keys.0 = { hangup = true }
timeout = 30
"""


async def test_a_menu_is_heard_whole_and_led_by_keys_in_the_sound(tmp_path: Path, twin: Twin) -> None:
    async def talk(line: Line, _: bytes) -> None:
        await line.until_heard(GREETING)
        line.stream.press("1")
        await line.until_heard(SALES)
        line.stream.press("0")
        end = await line.attached.end()
        assert (end.reason, await line.stream.over()) == (EndReason.FINISHED, "the client closed with 1000")
        greeting, sales = line.stream.heard.index(GREETING), line.stream.heard.index(SALES)
        assert greeting < sales
        assert line.session.summary()["keys"] == 2

    async with opened(tmp_path, twin, MENU) as ours:
        await everywhere(ours, twin, "/menu", talk)


class TurnDetector(SttServer):
    """A recogniser that understands nothing, and keeps what it hears."""

    path = "/v1/audio/transcriptions"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    async def recognise(self, request: web.Request, fault: str) -> web.StreamResponse:
        file = (await request.post())["file"]
        assert isinstance(file, web.FileField)
        with file.file as upload, wave.open(io.BytesIO(upload.read())) as sound:
            self.heard.append(sound.readframes(sound.getnframes()))
        return web.json_response({"text": "hello"})


RECOGNISE = """
[recognition]
engine = "openai"
[recognition.openai]
url = "http://HOST/v1"
[paths."/recognise"]
handler = "recognise"
prompt = "greeting"
"""


async def test_a_recogniser_is_given_what_was_said(tmp_path: Path, twin: Twin) -> None:
    async with (
        TurnDetector().running() as ears,
        opened(tmp_path, twin, RECOGNISE.replace("HOST", ears.host)) as ours,
    ):
        assert isinstance(ears, TurnDetector)

        async def talk(line: Line, said: bytes) -> None:
            line.say(said)
            await line.until_heard(GREETING)
            await eventually(lambda: any(coded(said) in pcm for pcm in ears.heard))
            await line.hang_up()
            line.assert_greeted()

        await everywhere(ours, twin, "/recognise", talk)
    assert len(ears.heard) == 18


BRIDGE = """
[paths."/bot"]
handler = "bridge"
protocol = "pcm"
delay_ms = 0
url = "ws://127.0.0.1:PORT/bot"
"""


async def greet_and_listen(visit: BotConnection) -> None:
    """It speaks as soon as it is asked, long before anybody may hear it."""
    await visit.websocket.send_bytes(GREETING)
    await visit.read()


def sound_of(visit: BotConnection) -> bytes:
    return b"".join(message for message in visit.messages if isinstance(message, bytes))


async def test_an_application_is_heard_and_hears_what_was_said(tmp_path: Path, twin: Twin) -> None:
    bots = BotServer(bot=greet_and_listen)
    await bots.start()
    try:
        async with opened(tmp_path, twin, BRIDGE.replace("PORT", str(bots.port))) as ours:

            async def talk(line: Line, said: bytes) -> None:
                await line.until_heard(GREETING)
                line.say(said)
                await line.hang_up()
                line.assert_greeted(at_once=line.resource.media_after > 0)  # else the connection is made first
                assert sum(coded(said) in sound_of(visit) for visit in bots.connections["bot"]) == 1

            await everywhere(ours, twin, "/bot", talk)
    finally:
        await bots.stop()


async def test_a_far_end_that_says_nothing_is_greeted_all_the_same(tmp_path: Path, twin: Twin) -> None:
    """After a time that is a setting; a bridge of a single channel is silent while nobody speaks."""

    async def one(kind: str, encapsulation: str) -> None:
        line = await dial(ours, twin, kind, encapsulation, "/record", quiet=True)
        await line.until_heard(GREETING)
        stream = line.stream
        assert stream.started_at is not None
        silent_for = stream.heard_at[stream.heard.index(GREETING) // FRAME_BYTES] - stream.started_at
        assert 0.5 - PTIME <= silent_for <= 0.5 + PTIME + 0.1 * UNIT + late()
        await line.hang_up()
        assert stream.heard.strip(b"\0") == GREETING

    async with opened(tmp_path, twin, RECORD, "start_timeout = 0.5") as ours:
        await asyncio.gather(*(one(*each) for each in EVERYWHERE))


PLAY = """
[paths."/play"]
handler = "playback"
prompt = "tune"
"""


async def test_a_connection_that_breaks_costs_no_more_than_was_on_its_way(tmp_path: Path, twin: Twin) -> None:
    """The media of the next one is late as well: what plays goes on when it is there."""
    tune = to_bytes(speechlike(16_000, 7))
    write_wav(tmp_path / "prompts/tune.wav", from_bytes(tune))

    async def one(kind: str, encapsulation: str) -> None:
        line = await dial(ours, twin, kind, encapsulation, "/play", media_after=0.25)
        first = line.stream
        await eventually(lambda: len(first.heard) > 40 * FRAME_BYTES)
        first.cut()
        second = await line.resource.stream()
        assert (await line.attached.end()).reason == EndReason.FINISHED
        await second.over()
        assert not (first.dropped + second.dropped).strip(b"\0")
        assert second.dropped
        before, after = first.heard.lstrip(b"\0"), second.heard.strip(b"\0")
        assert tune.startswith(before)
        assert tune.endswith(after)
        missing = len(tune) - len(before) - len(after)
        assert 0 <= missing <= line.session.lost * FRAME_BYTES

    async with opened(tmp_path, twin, PLAY) as ours:
        await asyncio.gather(*(one(*each) for each in EVERYWHERE))


# -- what the network and the far end do -----------------------------------------------------------


async def test_a_recording_outlasts_stalls_of_the_network(tmp_path: Path, twin: Twin) -> None:
    """No noise, no sample more or less, however long nothing came, and however much comes at once after it."""

    async def one(number: int, kind: str, encapsulation: str, seconds: float) -> None:
        line = await dial(ours, twin, kind, encapsulation, "/record")
        said = [to_bytes(speechlike(4800, 200 + 2 * number + part)) for part in (0, 1)]
        line.say(said[0])
        await eventually(lambda: len(line.stream.said_at) > 10)
        line.stream.stall_media(seconds)
        await line.arrived()
        line.say(said[1])
        await line.hang_up()
        assert max(np.diff(line.stream.said_at)) > 0.9 * seconds
        assert all(coded(part) in line.stream.said for part in said)
        assert line.recording(tmp_path) == line.stream.said
        assert line.session.summary()["inbound"] == "mulaw"

    number = itertools.count()
    async with opened(tmp_path, twin, RECORD) as ours:
        for seconds in (0.3, 0.5, 1, 3):
            await asyncio.gather(*(one(next(number), *each, seconds) for each in EVERYWHERE))


BUILDS = """
[paths."/auto"]
handler = "record"
directory = "DIRECTORY"
file = "{id}.wav"
[paths."/alaw"]
handler = "record"
directory = "DIRECTORY"
file = "{id}.wav"
inbound = "alaw"
"""


@pytest.mark.parametrize("payload_type", [96, 0])
async def test_every_build_of_the_platform_is_heard_to_the_bit(
    tmp_path: Path, twin: Twin, payload_type: int
) -> None:
    """Also the short ends of files. A-law is known by its silence, or by a setting where none comes."""

    async def one(number: int, kind: str, encapsulation: str, codec: str, quiet: bool) -> None:
        path = "/alaw" if codec == "alaw" and quiet else "/auto"
        options = {"codec": codec, "quiet": quiet, "payload_type": payload_type}
        line = await dial(ours, twin, kind, encapsulation, path, **options)
        if not quiet:
            await eventually(lambda: line.stream.said_at)
        said = to_bytes(speechlike(160 * 20 + 116 + 160 * 10 + 138 + 160 * 5, 300 + number))
        ends = [2 * (160 * 20 + 116), 2 * (160 * 30 + 116 + 138)]
        line.stream.say_file(said[: ends[0]])
        line.stream.say_file(said[ends[0] : ends[1]])
        line.stream.say(said[ends[1] :])
        await line.hang_up()
        assert coded(said, codec) in line.stream.said
        assert line.recording(tmp_path) == line.stream.said
        known = {"ulaw": "mulaw"}.get(codec, codec)
        assert line.session.summary()["inbound"] == known

    builds = itertools.product(("ulaw", "alaw", "slin"), (False, True))
    number = itertools.count()
    async with opened(tmp_path, twin, BUILDS) as ours:
        for build in builds:
            await asyncio.gather(*(one(next(number), *where, *build) for where in EVERYWHERE))


WRONG = """
[paths."/slin"]
handler = "analyse"
inbound = "slin"
[paths."/mulaw"]
handler = "analyse"
inbound = "mulaw"
"""


async def test_a_setting_that_is_wrong_is_told_once(tmp_path: Path, twin: Twin, backend: Backend) -> None:
    async def one(encapsulation: str, setting: str, codec: str, problem: str) -> None:
        line = await dial(ours, twin, "calls", encapsulation, f"/{setting}", codec=codec)
        line.say(to_bytes(speechlike(8000 * 60)))
        await eventually(lambda: line.session.inbound_problems)
        line.resource.hang_up()
        await line.attached.end()
        summary = line.session.summary()
        assert summary["inbound"] == setting
        assert summary["inbound_problems"] == [problem]

    kinds = [("slin", "ulaw", "half-rate"), ("mulaw", "slin", "double-rate")]
    more = f'[events]\nurl = "{backend.url}/events"\nsecret = "{SECRET}"'
    async with opened(tmp_path, twin, WRONG, more) as ours:
        await asyncio.gather(*(one(encapsulation, *each) for encapsulation in ENCAPSULATIONS for each in kinds))
        await eventually(lambda: len(backend.told("stream.ended")) == 6)
    told = sorted((each["problem"], each["inbound"]) for each in backend.told("stream.inbound"))
    assert told == [("double-rate", "mulaw")] * 3 + [("half-rate", "slin")] * 3


HOLD = """
[paths."/lead/1"]
handler = "playback"
prompt = "tune"
[paths."/lead/2"]
handler = "playback"
prompt = "tune"
lead = 2
"""


async def test_after_a_stall_of_ours_no_call_is_late_for_good(tmp_path: Path, twin: Twin) -> None:
    """We never run ahead by more than the lead, and not a sample of the sound is lost."""
    tune = to_bytes(speechlike(80_000, 7))
    write_wav(tmp_path / "prompts/tune.wav", from_bytes(tune))

    async def played(lead: int) -> None:
        lines = [await dial(ours, twin, *each, f"/lead/{lead}") for each in EVERYWHERE]

        def frames() -> int:
            return min(len(line.stream.heard_at) for line in lines)

        for count in (15, 30, 45):
            await eventually(lambda: frames() > count and all(map(nothing_on_its_way, lines)))  # noqa: B023
            time.sleep(0.15)  # noqa: ASYNC251
        await eventually(lambda: frames() > 60)
        for line in lines:
            assert line.stream.started_at is not None
            due = (line.stream.heard_at[-1] - line.stream.started_at) / PTIME
            assert line.stream.most_ahead <= lead
            assert len(line.stream.heard_at) - due <= 1 + lead - 3 * (7 - 1 - lead)  # the rest is never caught up
            assert tune.startswith(line.stream.heard.lstrip(b"\0"))
            line.resource.hang_up()
        await asyncio.gather(*(line.attached.end() for line in lines))

    async with opened(tmp_path, twin, HOLD) as ours:
        for lead in (1, 2):
            await played(lead)


def nothing_on_its_way(line: Line) -> bool:
    """Whether all that we sent has been heard, or was dropped."""
    return len(line.stream.heard_at) + line.stream.dropped_frames == line.session.frames


@pytest.mark.parametrize("lead", [1, 2, 3])
@in_virtual_time
async def test_a_far_end_s_queue_is_as_long_after_a_stall_as_before(lead: int, loop: VirtualLoop) -> None:
    """The lead, and the frame that is played; to half a frame, however long a stall was, and whenever it came."""
    for ms in range(10, 250, 3):
        stage = VirtualStream(loop, WireSettings(Encapsulation.SLN, lead=lead))
        began = loop.time() * 1000
        stage.pacer.start()
        await stage.until(began + 200 + ms % 20)
        before = len(stage.transport.times)
        loop.stall(ms)
        await stage.until(began + 800)
        stage.pacer.stop()
        frames = [round(each, 3) for each in queues([at / 1000 for at in stage.transport.times])]
        assert (frames[0], max(frames[:before]), frames[before - 1]) == (1, lead + 1, lead + 1)
        assert max(frames) <= lead + 1.5
        assert frames[-1] >= lead + 0.5


# -- what a running Asterisk sent ------------------------------------------------------------------


def message_of(each: Captured, encapsulation: str, number: int) -> bytes:
    """As the platform passes it on."""
    if encapsulation == "sln":
        return each.payload
    if encapsulation == "rtp":
        return struct.pack(">BBHII", 0x80, 96, number, number * len(each.payload), 0) + each.payload
    return struct.pack(">BH", each.kind, len(each.payload)) + each.payload


@pytest.mark.parametrize("encapsulation", ENCAPSULATIONS)
@pytest.mark.parametrize(("name", "codec", "late"), [("ulaw", "mulaw", 1), ("slin", "slin", 0)])
@in_virtual_time
async def test_what_asterisk_sent_is_heard_as_it_was_said(
    name: str, codec: str, late: int, encapsulation: str, loop: VirtualLoop
) -> None:
    """As it came, and when it came. One frame of the µ-law came too late for Asterisk: there is one of silence."""
    settings = WireSettings(Encapsulation(encapsulation))
    stage = VirtualStream(loop, settings)
    session = Session(
        Stream("id", "/path", "peer", resource="calls/1"), stage.wire, library_of(), stage.pacer, loop.time
    )
    session.connect(Wire(settings, dialled=True), stage.transport, 2.0)
    heard = bytearray()

    def take(event: Event) -> None:
        if isinstance(event, Audio):
            heard.extend(event.pcm)

    messages = captured(f"media-stream-{name}")
    with session.call.listen(take):
        for number, each in enumerate(messages):
            if each.kind == 0x10 or encapsulation == "audiosocket":
                loop.call_later(each.t_ms / 1000, session.receive_binary, message_of(each, encapsulation, number))
        await stage.until(messages[-1].t_ms + 100)
    frames = [bytes(heard[at : at + FRAME_BYTES]) for at in range(0, len(heard), FRAME_BYTES)]
    sounding = [at for at, frame in enumerate(frames) if any(frame)]
    assert b"".join(frames[at] for at in sounding) == coded(captured_speech()).strip(b"\0")
    assert sounding[-1] - sounding[0] + 1 - len(sounding) == late
    assert wire_facts(session.receiver.wire)["inbound"] == codec
    assert session.receiver.malformed == 0


# -- what the operator is told, and may do ---------------------------------------------------------


WIRES = {"audiosocket": "audiosocket/message", "sln": "sln/pcm", "rtp": "rtp/l16"}
IVR = (
    MENU
    + """
[paths."/alone"]
handler = "menu"
[paths."/alone".menus.main]
play = "greeting"
keys.1 = { hangup = true }
timeout = 0.5
retries = 0
"""
)


async def post(server: ServerProcess, stream: str, body: Any) -> tuple[int, str]:
    url = server.admin_url(f"/v1/streams/{stream}/digits")
    async with aiohttp.ClientSession() as client, client.post(url, json=body) as answer:
        return answer.status, await answer.text()


async def test_keys_come_by_the_operator_where_the_platform_has_none(
    serve: Serve, twin: Twin, backend: Backend, tmp_path: Path
) -> None:
    """A server process: its menus hear no key of most telephones, say so, and take them from its admin port."""
    write_wav(tmp_path / "prompts/greeting.wav", from_bytes(GREETING))
    write_wav(tmp_path / "prompts/sales.wav", from_bytes(SALES))
    with serve(IVR) as server:

        async def led(encapsulation: str) -> None:
            call = twin.call(media_after=0.25)
            stream = await attach(server, f"calls/{call.id}", "/menu", encapsulation=encapsulation)
            far_end = await call.stream()
            far_end.press_rfc4733("1")
            await eventually(lambda: GREETING in far_end.heard)
            for digits in ("", "x", "12 ", "1" * 65, 1, None):
                assert (await post(server, stream, {"digits": digits}))[0] == 400
            assert (await post(server, stream, {"keys": "1"}))[0] == 400
            assert await post(server, stream, {"digits": "1"}) == (204, "")
            await eventually(lambda: SALES in far_end.heard)
            assert await post(server, stream, {"digits": "0"}) == (204, "")
            await far_end.over()
            assert far_end.peer_code == 1000
            while await post(server, stream, {"digits": "0"}) == (204, ""):  # the server learns of it later
                await asyncio.sleep(0.01)
            assert (await post(server, stream, {"digits": "0"}))[0] == 404

        async def alone(encapsulation: str) -> None:
            call = twin.call()
            await attach(server, f"calls/{call.id}", "/alone", encapsulation=encapsulation)
            far_end = await call.stream()
            far_end.press_rfc4733("1")
            await far_end.over()
            assert GREETING in far_end.heard

        await asyncio.gather(*(talk(each) for each in ENCAPSULATIONS for talk in (led, alone)))
        status, text = await post(server, "none", {"digits": "1"})
        assert (status, json.loads(text)) == (404, {"error": "no stream none"})
        await eventually(lambda: len(backend.told("stream.ended")) == 6)
        ended = server.events("stream ended")
        warned = [line for line in server.log if line.get("why", "").startswith("No key was heard")]
    keys = {"/menu": 2, "/alone": 0}
    expected = sorted((path, wire, "mulaw", count) for wire in WIRES.values() for path, count in keys.items())
    for summaries in (backend.told("stream.ended"), ended):
        facts = [tuple(each[key] for key in ("path", "wire", "inbound", "keys")) for each in summaries]
        assert sorted(facts) == expected
    started = [(each["path"], each["wire"], each["inbound"]) for each in backend.told("stream.started")]
    assert sorted(started) == [each[:3] for each in expected]
    assert {each["stream"] for each in warned} == {each["stream"] for each in ended if each["path"] == "/alone"}
