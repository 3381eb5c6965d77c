"""Asterisk's WebSocket channel against a real server: outbound and inbound audio, events, and ends of calls."""

import asyncio
import contextlib
import itertools
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from mediaserver.audio.pcm import from_bytes, to_bytes
from tests.server.process import ServerProcess, connected, refusal, serving, write_config
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import PATIENCE, UNIT, eventually, late
from tests.twin import ChanWebSocket, coded, encode
from tests.twin.application import application as listening_application
from tests.use_cases.backend import SECRET, Backend

FRAMES = 27  # odd: half a frame of 40 ms is left
SPEECH = to_bytes(speechlike(160 * FRAMES))
LONG = to_bytes(speechlike(160 * 500, 7))
SECONDS = 0.6
TOKEN = "t0ken-of-the-flow"
PATHS = """
[defaults]
lead = 10
[paths."/play"]
handler = "playback"
prompt = "speech"
linger_ms = 0
[paths."/sweep"]
handler = "playback"
prompt = "sweep"
linger_ms = 0
[paths."/hangup"]
handler = "playback"
prompt = "speech"
then = "hangup"
linger_ms = 0
[paths."/forever"]
handler = "playback"
prompt = "long"
repeat = "forever"
[paths."/some-ahead"]
handler = "playback"
prompt = "speech"
linger_ms = 0
lead = 8
[paths."/guarded"]
handler = "playback"
prompt = "speech"
linger_ms = 0
tokens = ["{token}"]
[paths."/one"]
handler = "silence"
max_streams = 1
[paths."/echo"]
handler = "echo"
delay_ms = 300
[paths."/record"]
handler = "record"
directory = {recordings}
file = "{{id}}.wav"
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "long"
keys.1 = {{ play = "speech", hangup = true }}
[paths."/waiting"]
handler = "menu"
[paths."/waiting".menus.main]
timeout = 60
keys.1 = {{ play = "speech", hangup = true }}
"""


def sweep(rate: int) -> np.ndarray:
    """A sweep from 300 to 3000 Hz: exact at any sample rate, and inside the band of a telephone."""
    t = np.arange(round(SECONDS * rate)) / rate
    signal = np.sin(2 * np.pi * (300 * t + 2700 / SECONDS / 2 * t**2))
    return np.rint(12_000 * signal * np.sin(np.pi * t / SECONDS)).astype(np.int16)


def configure(directory: Path, paths: str = "", **server: Any) -> Path:
    text = PATHS.format(token=TOKEN, recordings=json.dumps(str(directory / "recordings")))
    write_wav(directory / "prompts/speech.wav", from_bytes(SPEECH))
    write_wav(directory / "prompts/long.wav", from_bytes(LONG))
    write_wav(directory / "prompts/sweep.wav", sweep(8000))
    return write_config(directory, text + paths, **server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(configure(tmp_path_factory.mktemp("server"))) as server:
        yield server
        log = server.log_file.read_text()
        assert "Traceback" not in log
        assert TOKEN not in log


FORMS: list[tuple[Any, ...]] = [(False,), (True,)]  # plain words, or JSON
EARLY: list[tuple[Any, ...]] = [(0,), (5,)]  # frames before MEDIA_START


async def each(check: Callable[..., Awaitable[None]], *choices: Sequence[tuple[Any, ...]]) -> None:
    """Make a call for each combination, all at once."""
    await asyncio.gather(*(check(*itertools.chain(*chosen)) for chosen in itertools.product(*choices)))


async def ended(server: ServerProcess, call: str) -> dict[str, Any]:
    """The log line of the end of a channel's stream."""
    lines: list[dict[str, Any]] = []

    def found() -> bool:
        lines[:] = [line for line in server.events("stream ended") if line.get("call") == call]
        return bool(lines)

    await eventually(found)
    (line,) = lines
    return line


def texts(channel: ChanWebSocket) -> list[str]:
    """The texts that the channel was sent, without their framing."""
    return [told.text if told.text[0] != "{" else json.loads(told.text)["command"] for told in channel.commands]


def assert_unbroken(channel: ChanWebSocket) -> None:
    """Assert that no frame was lost, and that the audio has no gap but where the machine itself was late."""
    assert channel.errors == []
    assert (channel.lost_bytes, channel.overflowed, channel.cut_frames) == (0, 0, 0)
    assert channel.holes <= late() / 0.02


def likeness(heard: np.ndarray, expected: np.ndarray, rate: int) -> tuple[float, float]:
    """The delay of received audio in ms, and its correlation with what was sent."""
    size, most = len(expected), rate // 100
    padded = np.concatenate([heard, np.zeros(size + most)])
    products = [float(np.corrcoef(padded[at : at + size], expected)[0, 1]) for at in range(most)]
    best = int(np.argmax(products))
    return best / rate * 1000, products[best]


# -- what the caller hears --------------------------------------------------------------------------


async def test_a_prompt_is_sent_bit_exact(server: ServerProcess) -> None:
    async def check(form: str, ptime: int, as_json: bool) -> None:
        async with ChanWebSocket(server.url("/play"), format=form, ptime=ptime, json=as_json) as channel:
            assert await channel.over() == "the application closed with 1000"
        assert_unbroken(channel)
        assert channel.subprotocol == "media"
        expected = encode(SPEECH, form)
        assert channel.heard[: len(expected)] == expected
        assert not channel.heard_pcm[len(SPEECH) :].strip(b"\0\x08")  # of a last frame; A-law's silence is 8
        assert len(channel.heard) - len(expected) < len(encode(bytes(16 * ptime), form))
        assert texts(channel) == ["ANSWER", "REPORT_QUEUE_DRAINED"]

    formats = [("slin", 20), ("ulaw", 20), ("alaw", 20), ("slin", 10), ("ulaw", 40), ("slin", 60)]
    await each(check, formats, FORMS)


async def test_a_prompt_is_sent_at_another_sample_rate(server: ServerProcess) -> None:
    async def check(form: str, ptime: int, rate: int, as_json: bool) -> None:
        async with ChanWebSocket(server.url("/sweep"), format=form, ptime=ptime, json=as_json) as channel:
            assert await channel.over() == "the application closed with 1000"
        assert_unbroken(channel)
        heard = from_bytes(channel.heard_pcm)
        delay, alike = likeness(heard, sweep(rate), rate)
        assert delay == 2.0
        assert alike > 0.999
        assert np.abs(heard).max() == pytest.approx(12_000, rel=0.03)
        assert len(heard) >= len(sweep(rate)) + rate // 500  # to its end, in spite of the delay

    await each(check, [("slin16", 20, 16_000), ("slin48", 20, 48_000), ("slin16", 40, 16_000)], FORMS)


async def test_no_subprotocol_is_needed(server: ServerProcess) -> None:
    async def check(form: str, as_json: bool) -> None:
        channel = ChanWebSocket(server.url("/waiting"), format=form, json=as_json, subprotocol=False)
        async with channel:
            await eventually(lambda: channel.heard_at)
            channel.press("1")
            await channel.over()
        assert_unbroken(channel)
        assert channel.subprotocol is None
        assert encode(SPEECH, form) in channel.heard
        assert texts(channel) == ["ANSWER", "REPORT_QUEUE_DRAINED", "HANGUP"]

    await each(check, [("slin",), ("ulaw",)], FORMS)


async def test_a_channel_without_a_subprotocol_is_answered_and_received_from_the_start(
    server: ServerProcess,
) -> None:
    async with ChanWebSocket(server.url("/play"), subprotocol=False) as channel:  # linear, as all begin
        await channel.over()
    assert_unbroken(channel)
    assert channel.heard == SPEECH
    assert texts(channel).count("ANSWER") == 1


async def test_the_lead_is_in_its_queue_and_no_more(server: ServerProcess) -> None:
    lengths = []
    async with ChanWebSocket(server.url("/forever")) as channel:

        def heard_enough() -> bool:
            lengths.append(channel.queued)
            return len(channel.heard_at) >= 50

        await eventually(heard_enough)
    assert (channel.holes, channel.overflowed) == (0, 0)
    assert 9 <= max(lengths) <= 11 + 5 * UNIT + late() / 0.02  # a late reader finds some more
    assert LONG.startswith(channel.heard)


async def test_a_full_queue_is_waited_for(server: ServerProcess) -> None:
    async def check(as_json: bool) -> None:
        async with ChanWebSocket(server.url("/some-ahead"), json=as_json, xoff=5, xon=3) as channel:
            await eventually(lambda: len(channel.heard_at) >= 15)
            assert channel.queued <= 4 + UNIT + late() / 0.02  # it was 9, and was let run down
            await channel.over()
        assert (channel.errors, channel.lost_bytes, channel.overflowed, channel.cut_frames) == ([], 0, 0, 0)
        assert channel.heard == SPEECH

    await each(check, FORMS)


# -- what we hear of the caller ---------------------------------------------------------------------


async def test_inbound_audio_is_recorded_whole(server: ServerProcess) -> None:
    async def check(form: str, ptime: int, early: int) -> None:
        channel = ChanWebSocket(server.url("/record"), format=form, ptime=ptime, audio_first=early)
        channel.say(SPEECH)
        async with channel:
            await eventually(lambda: not channel.speaking)
            channel.hang_up()
            await channel.over()
        recorded = to_bytes(await recording(server, channel.channel_id))
        assert recorded.startswith(coded(SPEECH, form))
        assert channel.said.startswith(recorded)  # from its first sample on
        assert texts(channel) == ["ANSWER"]

    await each(check, [("slin", 20), ("ulaw", 20), ("alaw", 40), ("slin", 10)], EARLY)


async def test_inbound_audio_at_another_sample_rate_is_recorded_whole(server: ServerProcess) -> None:
    async def check(form: str, rate: int, early: int) -> None:
        channel = ChanWebSocket(server.url("/record"), format=form, audio_first=early)
        channel.say(to_bytes(sweep(rate)))
        async with channel:
            await eventually(lambda: not channel.speaking)
            channel.hang_up()
            await channel.over()
        delay, alike = likeness(await recording(server, channel.channel_id), sweep(8000), 8000)
        assert delay == 2.0
        assert alike > 0.999

    await each(check, [("slin16", 16_000), ("slin48", 48_000)], EARLY)


async def recording(server: ServerProcess, call: str) -> np.ndarray:
    line = await ended(server, call)
    (done,) = [each for each in server.events("recording done") if each["stream"] == line["stream"]]
    return read_wav(Path(done["file"]))


async def test_echo_sends_inbound_audio_back(server: ServerProcess) -> None:
    async def check(form: str, as_json: bool, early: int) -> None:
        channel = ChanWebSocket(server.url("/echo"), format=form, json=as_json, audio_first=early)
        async with channel:
            await channel.say_until_echoed(SPEECH, lambda: coded(SPEECH, form) in channel.heard_pcm)
        assert (channel.errors, channel.lost_bytes, channel.overflowed) == ([], 0, 0)
        assert channel.holes <= late() / 0.02

    await each(check, [("slin", True), ("ulaw", False), ("alaw", True)], EARLY)


# -- its control ------------------------------------------------------------------------------------


async def test_the_channel_is_answered_when_the_handler_plays_and_not_before(server: ServerProcess) -> None:
    async def check(as_json: bool) -> None:
        async with ChanWebSocket(server.url("/waiting"), format="ulaw", json=as_json) as channel:
            await eventually(lambda: len(channel.heard_at) >= 10)
            assert channel.commands == []
            channel.press("1")
            assert await channel.over() == "the application hung up"
        assert_unbroken(channel)
        assert encode(SPEECH, "ulaw") in channel.heard
        assert texts(channel) == ["ANSWER", "REPORT_QUEUE_DRAINED", "HANGUP"]
        assert (await ended(server, channel.channel_id))["keys"] == 1

    await each(check, FORMS)


async def test_a_key_stops_the_prompt_here_and_in_its_queue(server: ServerProcess) -> None:
    async def check(as_json: bool) -> None:
        async with ChanWebSocket(server.url("/menu"), json=as_json) as channel:
            await eventually(lambda: len(channel.heard_at) >= 20 and channel.queued >= 5)
            channel.press("1")
            await channel.over()
        assert (channel.errors, channel.lost_bytes, channel.overflowed, channel.cut_frames) == ([], 0, 0, 0)
        # Until our next frame: there is nothing left in the queue.
        assert channel.holes <= 1 + UNIT + late() / 0.02
        assert texts(channel) == ["ANSWER", "FLUSH_MEDIA", "REPORT_QUEUE_DRAINED", "HANGUP"]
        heard, flushed = channel.heard, channel.commands[1].at
        before = sum(at < flushed for at in channel.heard_at) * 320
        assert LONG.startswith(heard[:before])
        at = heard.index(SPEECH)
        assert not heard[before:at].strip(b"\0")  # nothing more of it, though five frames at least were there

    await each(check, FORMS)


async def test_the_channel_is_hung_up_where_its_path_says_so(server: ServerProcess) -> None:
    async def check(as_json: bool) -> None:
        async with ChanWebSocket(server.url("/hangup"), json=as_json) as channel:
            assert await channel.over() == "the application hung up"
        assert channel.hung_up
        assert_unbroken(channel)
        assert channel.heard == SPEECH
        assert texts(channel) == ["ANSWER", "REPORT_QUEUE_DRAINED", "HANGUP"]
        line = await ended(server, channel.channel_id)
        assert (line["reason"], line["code"]) == ("finished", 1000)

    await each(check, FORMS)


@pytest.mark.parametrize(("form", "inbound"), [("slin", "slin"), ("ulaw", "mulaw"), ("alaw", "alaw")])
async def test_the_log_has_the_channel_s_format_and_its_end(
    server: ServerProcess, form: str, inbound: str
) -> None:
    async with ChanWebSocket(server.url("/forever?campaign=spring"), format=form) as channel:
        await eventually(lambda: len(channel.heard_at) >= 3)
        channel.hang_up()
        await channel.over()
    line = await ended(server, channel.channel_id)
    told = {key: line[key] for key in ("path", "wire", "inbound", "reason", "code", "texts", "malformed")}
    assert told == {
        "path": "/forever",
        "wire": f"chan_websocket/{form}",
        "inbound": inbound,
        "reason": "peer-closed",
        "code": 1000,
        "texts": 0,
        "malformed": 0,
    }


async def test_a_channel_that_is_gone_with_a_full_queue_is_not_waited_for(server: ServerProcess) -> None:
    async with connected(server.url("/play"), protocols=["media"]) as websocket:
        await websocket.send_str("MEDIA_START channel_id:gone format:slin optimal_frame_size:320")
        async for message in websocket:
            if message.data == "REPORT_QUEUE_DRAINED":
                break
    line = await ended(server, "gone")
    assert (line["reason"], line["frames"]) == ("finished", FRAMES)
    silent = server.events("Asterisk queue drain timed out")
    assert line["stream"] not in [each["stream"] for each in silent]


async def test_a_channel_that_names_no_format_is_received_all_the_same(server: ServerProcess) -> None:
    async with connected(server.url("/record?call_id=unnamed"), protocols=["media"]) as websocket:
        for at in range(0, len(SPEECH), 320):
            await websocket.send_bytes(encode(SPEECH[at : at + 320], "ulaw"))
        assert len(await websocket.receive_bytes()) == 160
    line = await ended(server, "unnamed")
    assert line["wire"] == "chan_websocket/ulaw"
    assert to_bytes(await recording(server, "unnamed")) == coded(SPEECH)
    (told,) = [each for each in server.events("Asterisk MEDIA_START missing") if each["stream"] == line["stream"]]
    assert told["level"] == "warning"


# -- what it is told, and who tells it --------------------------------------------------------------

TOLD = """
[events]
url = "{url}/events"
secret = "{secret}"
[paths."/ask/{{topic}}"]
handler = "menu"
[paths."/ask/{{topic}}".menus.main]
timeout = 60
keys.1 = {{ webhook = "{url}/ask" }}
[paths."/bridge"]
handler = "bridge"
url = "{application}"
protocol = "pcm"
[paths."/tell"]
handler = "tell:Tell"
"""
TELL = """
from mediaserver.handlers import Handler

class Tell(Handler):
    async def run(self, call):
        call.notify("told", {"call": call.stream.call, "variables": dict(call.stream.variables)})
"""


@contextlib.asynccontextmanager
async def telling(directory: Path) -> AsyncIterator[tuple[ServerProcess, Backend, asyncio.Queue[Any]]]:
    """A server with webhooks to a backend, and a bridge to an application."""
    (directory / "tell.py").write_text(TELL)
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    async with Backend() as backend, listening_application(arrived) as url:
        paths = TOLD.format(url=backend.url, secret=SECRET, application=url.replace("http://", "ws://"))
        with serving(configure(directory, paths), PYTHONPATH=str(directory)) as server:
            yield server, backend, arrived


async def test_facts_of_the_channel_are_in_the_log_the_events_and_the_variables(tmp_path: Path) -> None:
    async with telling(tmp_path) as (server, backend, arrived):
        known = {"campaign": "spring", "connection_id": "media1", "channel": "WebSocket/media1/0x7f0000000000"}
        known |= {"MEDIA_WEBSOCKET_CONNECTION_ID": "media1", "MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE": "160"}

        def dial(path: str) -> ChanWebSocket:
            return ChanWebSocket(server.url(f"{path}?campaign=spring"), format="ulaw", json=True)

        async with dial("/tell") as channel:
            await channel.over()
        await eventually(lambda: backend.told("told"))
        assert backend.told("told") == [
            {
                "call": channel.channel_id,
                "path": "/tell",
                "resource": f"calls/{channel.channel_id}",
                "variables": known,
            }
        ]
        async with dial("/ask/money") as channel:
            channel.press("1")
            await channel.over()
        (question,) = backend.questions
        assert question["variables"] == {"topic": "money", **known}
        assert question["resource"] == f"calls/{channel.channel_id}"
        call = channel.channel_id

        async with dial("/bridge") as channel:
            application = await asyncio.wait_for(arrived.get(), PATIENCE)
            start = json.loads((await application.receive(timeout=PATIENCE)).data)
            await application.close()
            await channel.over()
        assert start["variables"] == known
        assert start["call"] == channel.channel_id

        await eventually(lambda: len(backend.told("stream.ended")) == 3)
        for event in ("stream.started", "stream.ended"):
            about = backend.told(event)[1]
            assert {key: about[key] for key in ("path", "wire", "inbound", "variables")} == {
                "path": "/ask/money",
                "wire": "chan_websocket/ulaw",
                "inbound": "mulaw",
                "variables": {"topic": "money", **known},
            }
        assert backend.told("stream.ended")[1]["call"] == call


# -- who gets in, and how it is turned away ---------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(["media"], "media"), (["chat", "media"], "media"), (["chat", "MEDIA2"], None), ([], None)],
)
async def test_the_subprotocol_media_is_accepted_and_no_other(
    server: ServerProcess, offered: list[str], agreed: str | None
) -> None:
    async with connected(server.url("/forever"), protocols=offered, compress=15) as websocket:
        assert websocket.protocol == agreed
        assert "Sec-WebSocket-Extensions" not in websocket._response.headers


async def test_an_unsupported_format_ends_its_own_call_only(server: ServerProcess) -> None:
    async def check(text: str, subprotocol: bool) -> None:
        protocols = ["media"] if subprotocol else []
        async with connected(server.url("/forever"), protocols=protocols) as websocket:
            for _ in range(3):
                await websocket.send_bytes(bytes(40))
                await websocket.send_str(text)
            async for _ in websocket:
                pass
            assert websocket.close_code == 1003

    start = {"event": "MEDIA_START", "channel_id": "opus", "format": "opus", "optimal_frame_size": 40}
    words = [f"{key}:{value}" for key, value in start.items() if key != "event"]
    async with ChanWebSocket(server.url("/play"), format="ulaw") as beside:
        await eventually(lambda: len(beside.heard_at) >= 3)
        await each(check, [(json.dumps(start),), (" ".join(["MEDIA_START", *words]),)], [(False,), (True,)])
        await beside.over()
    assert_unbroken(beside)
    assert beside.heard == encode(SPEECH, "ulaw")
    told = server.events("Asterisk channel rejected")
    assert [line["level"] for line in told] == ["warning"] * 4
    assert {line["why"][:46] for line in told} == {'the format "opus" is none of slin, slin12, sli'}
    ended = [line["wire"] for line in server.events("stream ended") if line.get("code") == 1003]
    assert ended == ["chan_websocket/opus"] * 4


async def test_a_token_in_the_url_opens_a_path_and_is_shown_nowhere(server: ServerProcess) -> None:
    assert (await refusal(server.url("/guarded")))[0] == 401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with ChanWebSocket(server.url("/guarded?token=wrong")):
            pass
    assert refused.value.status == 401
    async with ChanWebSocket(server.url(f"/guarded?token={TOKEN}")) as channel:
        await channel.over()
    assert channel.heard == SPEECH


async def test_the_limit_of_a_path_holds_for_it_as_well(server: ServerProcess) -> None:
    async with ChanWebSocket(server.url("/one")) as channel:
        await eventually(lambda: channel.heard_at)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with ChanWebSocket(server.url("/one")):
                pass
        assert refused.value.status == 503
    await ended(server, channel.channel_id)
    async with ChanWebSocket(server.url("/one")) as channel:
        await eventually(lambda: channel.heard_at)


async def test_a_shutdown_closes_channels_as_going_away(tmp_path: Path) -> None:
    with serving(configure(tmp_path, drain_timeout=0.3)) as server:
        async with contextlib.AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(ChanWebSocket(server.url(path), format=form, json=as_json))
                for path, form, as_json in (
                    ("/forever", "slin", False),
                    ("/waiting", "ulaw", True),
                    ("/record", "slin16", False),
                )
            ]
            mute = await stack.enter_async_context(connected(server.url("/forever"), protocols=["media"]))
            await eventually(lambda: all(channel.heard_at for channel in channels))
            server.process.send_signal(signal.SIGTERM)
            ends = [await channel.over() for channel in channels]
            async for _ in mute:
                pass
        assert ends == ["the application closed with 1001"] * 3
        assert mute.close_code == 1001
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
        assert [line["reason"] for line in server.events("stream ended")] == ["drained"] * 4
