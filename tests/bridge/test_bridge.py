"""The bridge over real sockets: a server, its callers, and applications (bots), good ones and faulty ones."""

import asyncio
import base64
import contextlib
import gc
import json
import ssl
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from mediaserver import config
from mediaserver.audio import g711
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.bridge import connection as connection_module
from mediaserver.bridge import dial
from mediaserver.bridge.connection import ApplicationConnection
from mediaserver.errors import PeerError
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.runtime.switching import switch_stream
from mediaserver.server.server import Server
from mediaserver.wire import websocket as frames
from mediaserver.wire.dialects.dialect import CallFacts
from mediaserver.wire.dialects.plain import PlainDialect
from mediaserver.wire.dialects.twilio import TwilioDialect
from mediaserver.wire.encapsulation import PCM
from tests.bridge.bots import Bot, BotConnection, BotServer, abort, echo, plain_echo
from tests.call.caller import digits
from tests.server.process import UPGRADE, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, UNIT, eventually

UPGRADED = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade"
SPEECH = to_bytes(speechlike(3200, 1))
MULAW = to_bytes(g711.mulaw_decode(g711.mulaw_encode(from_bytes(SPEECH))))
SORRY, HOLD = speechlike(1600, 2), speechlike(1600, 3)

PATHS = """
[defaults]
framing = "pcm"
[paths."/twilio/{{name}}"]
handler = "bridge"
url = "ws://127.0.0.1:{port}/{{name}}"
token = "env:BOT_TOKEN"
reconnect_timeout = {patience}
fallback = "sorry"
linger_ms = 0
[paths."/pcm/{{name}}"]
handler = "bridge"
protocol = "pcm"
url = "ws://127.0.0.1:{port}/{{name}}?name={{name}}"
reconnect_timeout = {patience}
connect_timeout = 0.3
fallback = "sorry"
linger_ms = 0
[paths."/slow"]
handler = "bridge"
url = "ws://127.0.0.1:{port}/echo?slow=1"
connect_timeout = 0.3
reconnect_timeout = 0
fallback = "sorry"
linger_ms = 0
[paths."/nobody"]
handler = "bridge"
url = "ws://127.0.0.1:{free}/private?key=secret"
reconnect_timeout = 0.5
[paths."/held"]
handler = "bridge"
url = "ws://127.0.0.1:{port}/echo?slow=1"
connect_timeout = 60
hold = "hold"
[paths."/sorry"]
handler = "playback"
prompt = "sorry"
then = "silence"
"""


class Lab:
    """A server that bridges to bots, and its callers."""

    def __init__(self, server: Server, bots: BotServer, told: list[tuple[str, dict[str, Any]]]) -> None:
        self.server, self.bots, self.told = server, bots, told

    @contextlib.asynccontextmanager
    async def call(self, path: str) -> AsyncIterator["Caller"]:
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"ws://127.0.0.1:{self.server.port}{path}") as websocket,
        ):
            caller = Caller(websocket)
            hearing = asyncio.create_task(caller.receive())
            try:
                yield caller
            finally:
                await websocket.close()
                await hearing

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.told if name == kind]

    def reasons(self, kind: str) -> set[str]:
        return {data["why"].replace(str(self.bots.port), "PORT") for data in self.events(kind)}


class Caller:
    """A caller, and all audio received."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.received = bytearray()

    async def receive(self) -> None:
        async for message in self.websocket:
            self.received += message.data

    async def send(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), 320):
            await self.websocket.send_bytes(pcm[at : at + 320])

    async def wait_received(self, sound: bytes) -> None:
        await eventually(lambda: sound in self.received)

    async def wait_closed(self) -> int | None:
        await eventually(lambda: self.websocket.closed)
        return self.websocket.close_code


@pytest.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> AsyncIterator[Lab]:
    write_wav(tmp_path / "prompts/sorry.wav", SORRY)
    write_wav(tmp_path / "prompts/hold.wav", HOLD)
    bots = BotServer(echo=echo, plain=plain_echo)
    await bots.start()
    monkeypatch.setenv("BOT_TOKEN", "s3cret")
    paths = PATHS.format(port=bots.port, free=unused_tcp_port, patience=1.0)
    server = Server(*_loaded(write_config(tmp_path, paths)))
    told: list[tuple[str, dict[str, Any]]] = []
    emit = server.engine.event_sink.emit

    def overheard(stream: Any, kind: str, data: Any) -> None:
        told.append((kind, dict(data)))
        emit(stream, kind, data)

    monkeypatch.setattr(server.engine.event_sink, "emit", overheard)
    try:
        await server.start()
        yield Lab(server, bots, told)
    finally:
        await server.close()
        await bots.stop()


def _loaded(path: Path) -> Any:
    settings, problems = config.load(path)
    return settings, "config.toml", problems


# -- both ways ---------------------------------------------------------------


async def test_a_twilio_bot_hears_the_caller_and_is_heard(lab: Lab) -> None:
    async with lab.call("/twilio/echo") as caller:
        await eventually(lambda: lab.events("bridge.connected"))
        await caller.send(SPEECH)
        await caller.wait_received(MULAW)
        (connection,) = lab.bots.connections["echo"]
        assert [said["event"] for said in connection.messages[:3]] == ["connected", "start", "media"]
        assert [said["media"]["timestamp"] for said in connection.events_named("media")] == [
            str(20 * n) for n in range(20)
        ]
        parameters = connection.events_named("start")[0]["start"]["customParameters"]
        assert (parameters["path"], parameters["name"]) == ("/twilio/echo", "echo")
        assert connection.request.headers["Authorization"] == "Bearer s3cret"
    await eventually(lambda: connection.over)  # the caller hung up
    assert connection.messages[-1]["event"] == "stop"
    assert connection.websocket.close_code == 1000
    await eventually(lambda: lab.events("bridge.ended"))
    assert lab.events("bridge.ended") == [
        {
            "host": f"127.0.0.1:{lab.bots.port}",
            "connections": 1,
            "malformed": 0,
            "said_s": 0.4,
            "unsent_s": 0,
            "unheard_s": 0,
            "why": "the call ended, or its handler was replaced",
        }
    ]
    assert not lab.events("bridge.silent")
    assert "s3cret" not in str(lab.told)


async def test_a_plain_bot_hears_every_sample(lab: Lab) -> None:
    async with lab.call("/pcm/plain") as caller:
        await eventually(lambda: lab.events("bridge.connected"))
        await caller.send(SPEECH)
        await caller.wait_received(SPEECH)
        (connection,) = lab.bots.connections["plain"]
        assert connection.messages[0]["variables"] == {"name": "plain"}
        assert b"".join(connection.messages[1:]) == SPEECH
        assert connection.request.query_string == "name=plain"
        assert "Authorization" not in connection.request.headers
    await eventually(lambda: connection.over)
    assert connection.messages[-1] == {"event": "stop"}


@pytest.mark.parametrize("key", ["0", "9"])
async def test_a_bot_hears_keys_and_hangs_up(lab: Lab, key: str) -> None:
    async with lab.call("/pcm/plain") as caller:
        await eventually(lambda: lab.events("bridge.connected"))
        await caller.send(digits(key))
        assert await caller.wait_closed() == 1000
    assert lab.bots.connections["plain"][0].events_named("dtmf") == [{"event": "dtmf", "digit": key}]
    assert not lab.events("bridge.failed")
    assert lab.reasons("bridge.ended") == {"the application hung up"}


@pytest.mark.parametrize("code", [1000, None])
async def test_audio_sent_before_the_bot_hung_up_is_played_to_its_end(lab: Lab, code: int | None) -> None:
    async def goodbye(connection: BotConnection) -> None:
        await connection.websocket.send_bytes(SPEECH[:5000])
        if code is None:
            assert connection.request.transport is not None
            connection.request.transport.write(b"\x88\x00")
            await connection.read()
        else:
            await connection.websocket.close(code=code)

    lab.bots.bots["plain"] = goodbye
    async with lab.call("/pcm/plain") as caller:
        assert await caller.wait_closed() == 1000
        assert SPEECH[:5000] in caller.received


async def test_a_bot_that_hangs_up_without_a_word_is_told_of_and_plays_nothing(lab: Lab) -> None:
    async def wordless(connection: BotConnection) -> None:
        await connection.websocket.close()

    lab.bots.bots["plain"] = wordless
    async with lab.call("/pcm/plain") as caller:
        assert await caller.wait_closed() == 1000
    (silent,) = lab.events("bridge.silent")
    assert silent["host"] == f"127.0.0.1:{lab.bots.port}"
    assert 0 <= silent["seconds"] < PATIENCE
    await eventually(lambda: lab.server.engine.streams.ended.newest_first())
    (over,) = lab.server.engine.streams.ended.newest_first()
    assert over.facts["played"] == []
    assert "bridge.silent" in [problem.kind for problem in over.problems]


async def test_a_bot_that_says_nothing_for_long_is_told_of_once_and_talks_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def shy(connection: BotConnection) -> None:
        await eventually(lambda: lab.events("bridge.silent"))
        await connection.websocket.send_bytes(SPEECH)

    monkeypatch.setattr("mediaserver.bridge.application_bridge._SILENT_AFTER", 0.1)
    lab.bots.bots["plain"] = shy
    async with lab.call("/pcm/plain") as caller:
        assert await caller.wait_closed() == 1000
    assert SPEECH in caller.received
    assert len(lab.events("bridge.silent")) == 1


async def test_marks_are_reported_when_played_and_clear_drops_audio(lab: Lab) -> None:
    payload = base64.b64encode(g711.mulaw_encode(from_bytes(SPEECH))).decode()

    async def marking(connection: BotConnection) -> None:
        sid = (await anext(aiter(connection.websocket))) and ""
        await connection.send_event(event="media", streamSid=sid, media={"payload": payload})
        await connection.send_event(event="mark", streamSid=sid, mark={"name": "heard"})
        async for said in connection:
            if said["event"] == "mark" and said["mark"]["name"] == "heard":
                for _ in range(10):
                    await connection.send_event(event="media", streamSid=sid, media={"payload": payload})
                await connection.send_event(event="mark", streamSid=sid, mark={"name": "cleared"})
                await connection.send_event(event="clear", streamSid=sid)

    lab.bots.bots["echo"] = marking
    async with lab.call("/twilio/echo") as caller:
        await eventually(
            lambda: lab.bots.connections["echo"] and len(lab.bots.connections["echo"][0].events_named("mark")) == 2
        )
        assert MULAW in caller.received  # all of it, before its mark
        at = len(caller.received)
        await eventually(lambda: len(caller.received) > at + 3200)
        assert caller.received[-1600:] == bytes(1600)
        assert [mark["mark"]["name"] for mark in lab.bots.connections["echo"][0].events_named("mark")] == [
            "heard",
            "cleared",
        ]


async def test_a_request_that_stops_all_sound_drops_what_waits_and_the_bot_is_heard_again(lab: Lab) -> None:
    answer = to_bytes(speechlike(3200, 4))

    async def talks_before_and_after(connection: BotConnection) -> None:
        await connection.websocket.send_bytes(SPEECH * 50)  # 20 s
        await connection.send_event(event="mark", name="dropped")
        async for said in connection:
            if said == {"event": "mark", "name": "dropped"}:
                await connection.websocket.send_bytes(answer)
                return

    lab.bots.bots["plain"] = talks_before_and_after
    async with lab.call("/pcm/plain") as caller:
        await caller.wait_received(SPEECH)
        (session,) = lab.server.engine.streams
        session.operator.clear()
        assert await caller.wait_closed() == 1000  # the bot has hung up, and all that it said since was played
    assert answer in caller.received
    assert SPEECH * 25 not in caller.received


async def test_music_that_a_request_stops_is_silent_until_the_bot_is_there(lab: Lab) -> None:
    async with lab.call("/held") as caller:
        await caller.wait_received(to_bytes(HOLD))
        (session,) = lab.server.engine.streams
        session.operator.clear()
        await eventually(lambda: caller.received[-16_000:] == bytes(16_000))
        assert not caller.websocket.closed


# -- trouble ----------------------------------------------------------------


async def test_a_bot_that_dies_is_dialled_again_and_begins_anew(lab: Lab) -> None:
    async def says_much_and_dies(connection: BotConnection) -> None:
        lab.bots.bots["echo"] = echo
        payload = base64.b64encode(bytes(60 * 8000)).decode()
        await connection.send_event(event="media", streamSid="", media={"payload": payload[:400_000]})
        await anext(aiter(connection))
        await anext(aiter(connection))
        abort(connection)

    lab.bots.bots["echo"] = says_much_and_dies
    async with lab.call("/twilio/echo") as caller:
        await eventually(lambda: len(lab.events("bridge.connected")) == 2)
        await caller.send(SPEECH)
        await caller.wait_received(MULAW)
        first, second = lab.bots.connections["echo"]
        assert [said["event"] for said in second.messages[:3]] == ["connected", "start", "media"]
        one, other = first.events_named("start")[0]["start"], second.events_named("start")[0]["start"]
        assert one["callSid"] == other["callSid"]
        assert one["streamSid"] != other["streamSid"]
    assert lab.reasons("bridge.lost") == {"the connection broke off"}


async def restarting(connection: BotConnection) -> None:
    await connection.websocket.close(code=1012)


async def failing(connection: BotConnection) -> None:
    raise RuntimeError


async def garbage(connection: BotConnection) -> None:
    for _ in range(60):
        await connection.websocket.send_str("garbage")
    await connection.read()


async def giant(connection: BotConnection) -> None:
    await connection.websocket.send_bytes(bytes(600_000))
    await connection.read()


async def dying(connection: BotConnection) -> None:
    abort(connection)


@pytest.mark.parametrize(
    ("path", "bot", "lost", "failed"),
    [
        ("/pcm/plain", restarting, {"it closed with 1012"}, "it closed with 1012"),
        ("/pcm/plain", dying, {"the connection broke off"}, "the connection broke off"),
        ("/pcm/plain", giant, {"its message is too big"}, "its message is too big"),
        (
            "/twilio/echo",
            garbage,
            {"it sent an invalid message: a text message that is not JSON"},
            "it sent an invalid message: a text message that is not JSON",
        ),
        ("/pcm/plain", None, set(), "127.0.0.1:PORT: refused with HTTP status 500"),
        ("/pcm/unknown", echo, set(), "127.0.0.1:PORT: refused with HTTP status 404"),
        ("/slow", echo, set(), "127.0.0.1:PORT: no answer within 0.3 s"),
    ],
)
async def test_a_faulty_bot_is_replaced_by_the_fallback_and_other_calls_go_on(
    lab: Lab, path: str, bot: Callable[..., Any] | None, lost: set[str], failed: str
) -> None:
    async with lab.call("/twilio/echo") as other:
        await eventually(lambda: lab.events("bridge.connected"))
        lab.bots.broken = bot is None
        lab.bots.bots["plain"] = lab.bots.bots["echo"] = bot or echo
        lab.told.clear()
        async with lab.call(path) as caller:
            assert await caller.wait_closed() == 1000
            assert caller.received.rstrip(b"\0").endswith(to_bytes(SORRY).rstrip(b"\0"))
        await other.send(SPEECH)
        await other.wait_received(MULAW)
    assert lab.reasons("bridge.lost") == lost
    assert lab.reasons("bridge.failed") == {failed}
    if failed.endswith("404"):
        assert lab.bots.refused == 1  # to ask again would not help
    elif failed.endswith("500"):
        assert lab.bots.refused > 1


async def test_the_reconnect_timeout_begins_anew_after_a_stable_connection(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leaving(connection: BotConnection) -> None:
        await asyncio.sleep(0.3)
        abort(connection)

    monkeypatch.setattr("mediaserver.bridge.application_bridge._STABLE_AFTER", 0.1)
    lab.bots.bots["plain"] = leaving
    async with lab.call("/pcm/plain"):
        await eventually(lambda: len(lab.events("bridge.connected")) >= 6)  # in more than its patience
    assert not lab.events("bridge.failed")


async def test_an_untrusted_certificate_is_named_in_the_error(lab: Lab) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    bots = BotServer(bot=echo)
    await bots.start(tls)
    try:
        async with dial.client_session() as client:
            with pytest.raises(
                PeerError, match=r"localhost:\d+: cannot connect by TLS: the certificate is not trusted: "
            ):
                await dial.dial(client, dial.ApplicationEndpoint(f"wss://localhost:{bots.port}/bot"))
    finally:
        await bots.stop()


async def test_a_caller_who_hangs_up_before_there_is_a_connection(lab: Lab) -> None:
    async with lab.call("/held"):
        await eventually(lambda: lab.events("stream.started"))
    await eventually(lambda: lab.events("bridge.ended"))
    assert lab.events("bridge.ended")[0]["connections"] == 0
    assert not lab.events("bridge.failed")


async def test_without_a_fallback_the_stream_ends_with_1011(lab: Lab) -> None:
    async with lab.call("/nobody") as caller:
        assert await caller.wait_closed() == 1011
    (failed,) = lab.events("bridge.failed")
    assert failed["why"] == f"{failed['host']}: cannot connect: Connection refused"
    assert lab.reasons("bridge.ended") == {"the application was given up"}
    assert "secret" not in str(lab.told)


async def test_a_caller_who_waits_over_a_second_hears_the_hold_prompt(lab: Lab) -> None:
    async with lab.call("/held") as caller:
        await caller.wait_received(to_bytes(HOLD) * 2)
    assert caller.received[: 49 * 320] == bytes(49 * 320)  # the moment


async def test_a_flooding_bot_is_throttled_and_excess_audio_is_counted(lab: Lab) -> None:
    async def flooding(connection: BotConnection) -> None:
        with contextlib.suppress(ConnectionError):
            for _ in range(100_000):
                await connection.websocket.send_bytes(bytes(60_000))

    lab.bots.bots["plain"] = flooding
    async with lab.call("/twilio/echo") as other, lab.call("/pcm/plain"):
        await eventually(lambda: len(lab.events("bridge.connected")) == 2)
        await other.send(SPEECH)
        await other.wait_received(MULAW)
        await asyncio.sleep(1)  # 130 s of sound have come by then
    await eventually(lambda: len(lab.events("bridge.ended")) == 2)
    ended = {event["unheard_s"] > 0 for event in lab.events("bridge.ended")}
    assert ended == {False, True}


async def test_a_bot_that_never_reads_is_given_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deaf(connection: BotConnection) -> None:
        assert isinstance(connection.request.transport, asyncio.Transport)
        connection.request.transport.pause_reading()
        await asyncio.sleep(60)

    monkeypatch.setattr("mediaserver.bridge.connection.HEARTBEAT", 0.2 * UNIT)
    lab.bots.bots["plain"] = deaf
    async with lab.call("/pcm/plain") as caller:
        await eventually(lambda: lab.events("bridge.connected"))
        await caller.send(SPEECH)
        await caller.wait_received(to_bytes(SORRY))
        assert await caller.wait_closed() == 1000
    assert lab.reasons("bridge.failed") == {"it does not answer pings"}


async def test_a_bot_that_requests_marks_and_never_reads_is_given_up(lab: Lab) -> None:
    async def asking(connection: BotConnection) -> None:
        assert isinstance(connection.request.transport, asyncio.Transport)
        connection.request.transport.pause_reading()
        mark = json.dumps({"event": "mark", "name": "\u2028" * 1024})  # six bytes each when it comes back
        with contextlib.suppress(ConnectionError):
            for n in range(50_000):
                await connection.websocket.send_str(mark)
                if n % 100 == 0:
                    await connection.websocket.pong()  # as if it had read our pings
                    await asyncio.sleep(0)
            await asyncio.sleep(60)

    lab.bots.bots["plain"] = asking
    async with lab.call("/pcm/plain"):
        await eventually(lambda: lab.events("bridge.lost"))
    assert lab.reasons("bridge.lost") == {"it does not read what we send"}


async def hanging_up(connection: BotConnection) -> None:
    await connection.websocket.receive()


@pytest.mark.parametrize("bot", [echo, hanging_up, dying])
async def test_a_connection_leaves_no_cycles(bot: Bot) -> None:
    async def call(port: int) -> None:
        async with dial.client_session() as client:
            websocket = await dial.dial(client, dial.ApplicationEndpoint(f"ws://127.0.0.1:{port}/bot"))
            connection = ApplicationConnection(websocket, TwilioDialect(CallFacts("s")), PlayoutBuffer())
            reading = asyncio.create_task(connection.wait_closed())
            await asyncio.wait((reading,), timeout=0.05 if bot is echo else UNIT)
            reading.cancel()
            await asyncio.wait((reading,))
            await connection.close(1000)
            await connection.close(1000)  # again does no harm

    bots = BotServer(bot=bot)
    await bots.start()
    gc.collect()
    gc.disable()
    try:
        await call(bots.port)
        await asyncio.sleep(0.05)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [each for each in gc.garbage if type(each).__module__.startswith("mediaserver.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        await bots.stop()


async def test_a_slow_bot_loses_the_oldest_audio_and_it_is_counted() -> None:
    go = asyncio.Event()

    async def slow(connection: BotConnection) -> None:
        assert connection.request.transport is not None
        assert isinstance(connection.request.transport, asyncio.Transport)
        connection.request.transport.pause_reading()
        await go.wait()
        connection.request.transport.resume_reading()
        await connection.read()

    bots = BotServer(slow=slow)
    await bots.start()
    try:
        async with dial.client_session() as client:
            websocket = await dial.dial(client, dial.ApplicationEndpoint(f"ws://127.0.0.1:{bots.port}/slow"))
            connection = ApplicationConnection(websocket, PlainDialect(CallFacts("s")), PlayoutBuffer())
            sent = 0
            while not connection.dropped:  # until the sockets and a second are full
                sent += 1
                assert sent < 10_000
                connection.send_audio(sent.to_bytes(2, "big") * 160)
            go.set()
            await eventually(lambda: not websocket.transport.get_write_buffer_size())
            connection.send_audio(bytes(320))  # with it goes what waited
            await eventually(lambda: bots.connections["slow"][0].messages[-1:] == [bytes(320)])
            heard = [said for said in bots.connections["slow"][0].messages if isinstance(said, bytes)]
            numbers = [int.from_bytes(said[:2], "big") for said in heard[:-1]]
            lost = sorted(set(range(1, sent + 1)) - set(numbers))
            assert connection.dropped == 160 * len(lost) == 160
            assert lost == [sent - 50]  # fifty are a second
            assert numbers == sorted(numbers)
            await connection.close(1000)
    finally:
        await bots.stop()


async def test_a_mark_that_is_reached_after_the_close_is_not_sent() -> None:
    received, asked = bytearray(), asyncio.Event()

    async def answers_no_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handshake = await reader.readuntil(b"\r\n\r\n")
        (key,) = [line.split()[1] for line in handshake.splitlines() if b"sec-websocket-key" in line.lower()]
        head = f"HTTP/1.1 101 OK\r\n{UPGRADED}\r\nSec-WebSocket-Accept: {frames.accept_key(key.decode())}\r\n\r\n"
        writer.write(head.encode() + frames.binary(SPEECH) + frames.text('{"event": "mark", "name": "late"}'))
        writer.write(frames.text('{"event": "stop"}'))
        while data := await reader.read(4096):
            received.extend(data)
            if b"\x88\x82" in received:  # the close frame
                asked.set()
        writer.close()

    async with (
        await asyncio.start_server(answers_no_close, "127.0.0.1", 0) as bot,
        dial.client_session() as client,
    ):
        port, buffer = bot.sockets[0].getsockname()[1], PlayoutBuffer()
        websocket = await dial.dial(client, dial.ApplicationEndpoint(f"ws://127.0.0.1:{port}/"))
        connection = ApplicationConnection(websocket, PlainDialect(CallFacts("s")), buffer)
        await connection.wait_closed()
        closing = asyncio.create_task(connection.close(1000))
        await asked.wait()
        played = [*islice(buffer.iter_frames(PCM), 50)]  # all that the bot has said, up to its mark
        assert any(SPEECH[:320] in each for each in played)
        assert not await closing
    assert received[-8:-6] == b"\x88\x82"  # the close frame, with its masking key and its code, is the last


async def test_a_close_whose_time_is_over_at_once_is_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late event loop may find the time over before aiohttp knows what became of the close."""

    async def silent(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(autoclose=False)
        await websocket.prepare(request)
        assert request.transport is not None
        request.transport.pause_reading()
        await gone.wait()
        return websocket

    gone = asyncio.Event()
    app = web.Application()
    app.router.add_get("/", silent)
    monkeypatch.setattr(connection_module, "_CLOSE_TIMEOUT", 0)
    async with TestServer(app) as bot, dial.client_session() as client:
        websocket = await dial.dial(client, dial.ApplicationEndpoint(f"ws://127.0.0.1:{bot.port}/"))
        connection = ApplicationConnection(websocket, PlainDialect(CallFacts("s")), PlayoutBuffer())
        await asyncio.sleep(0)  # it reads now
        assert not await connection.close(1000)
        gone.set()


async def test_a_switch_does_not_wait_for_a_bot_that_does_not_answer_the_close(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, said = asyncio.Event(), asyncio.Event()

    async def deaf(connection: BotConnection) -> None:
        await connection.websocket.receive()
        assert isinstance(connection.request.transport, asyncio.Transport)
        connection.request.transport.pause_reading()
        said.set()
        await go.wait()
        await connection.websocket.send_bytes(SPEECH)  # which is not played any more
        connection.request.transport.resume_reading()
        await connection.read()

    async def switch(path: str) -> None:
        (session,) = lab.server.engine.streams
        switch_stream(lab.server.engine, session, path, "a test")

    monkeypatch.setattr(connection_module, "_CLOSE_TIMEOUT", PATIENCE)
    faults = lab.server.engine.metrics.peer_faults.labels("unanswered-close")
    lab.bots.bots["plain"] = deaf
    async with lab.call("/pcm/plain") as caller:
        await eventually(said.is_set)
        await switch("/sorry")
        await caller.wait_received(to_bytes(SORRY))
        (session,) = lab.server.engine.streams
        assert len(session.closings) == 1
        (connection,) = lab.bots.connections["plain"]
        assert not connection.over
        go.set()
        await eventually(lambda: connection.over and not session.closings)
        assert connection.websocket.close_code == 1000
        assert SPEECH[:320] not in caller.received
        monkeypatch.setattr(connection_module, "_CLOSE_TIMEOUT", 0.01)
        for event in (go, said):
            event.clear()
        await switch("/pcm/plain")
        await eventually(said.is_set)
    await eventually(lambda: not lab.server.engine.streams)
    assert faults._value.get() == 1
    go.set()


@pytest.mark.parametrize("name", ["%2e%2e", "%252e%252e", "..%2f..%2fadmin", "%2E"])
async def test_a_call_that_would_send_the_token_elsewhere_is_refused_before_dialling(lab: Lab, name: str) -> None:
    url = URL(f"http://127.0.0.1:{lab.server.port}/twilio/{name}", encoded=True)
    async with aiohttp.ClientSession() as client, client.get(url, headers=UPGRADE) as answer:
        assert answer.status == 400
        assert "in place of {name}: no segment of a path may be empty there" in await answer.text()
    refused = lab.server.engine.metrics.refused.labels("bad-variable", 400)
    assert refused._value.get() == 1
    assert (lab.bots.refused, lab.bots.connections) == (0, {"echo": [], "plain": []})
