"""How a stream is dialled: which credentials are sent, how often, and when a call that broke off is over."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from mediaserver.audio.g711 import mulaw_decode, mulaw_encode
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import EndReason
from mediaserver.call.inbound import monitor
from mediaserver.client import advice, attachment, connection, dial
from mediaserver.client.voipbin import Credential
from mediaserver.errors import PeerError
from tests.client.attached import Desk, desk
from tests.sound import speechlike
from tests.timing import UNIT, eventually, late

SILENCE = '[paths."/silence"]\nhandler = "silence"'
FRAME = b"\x10\x00\xa0" + b"\xff" * 160
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers the n-th request by the n-th of some answers, and those behind by the last one."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self._answers = answers
        self.asked: list[web.Request] = []
        self.asked_at: list[float] = []
        self.api = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.asked_at.append(monotonic())
        return await self._answers[min(len(self.asked), len(self._answers)) - 1](request)


@contextlib.asynccontextmanager
async def serving(*answers: Answer) -> AsyncIterator[Server]:
    server = Server(answers)
    app = web.Application()
    app.router.add_get("/{kind}/{id}/media_stream", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.api = "http://127.0.0.1:{1}".format(*runner.addresses[0])
        yield server
    finally:
        await runner.cleanup()


def refuse(status: int, text: str = "no", **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return answer


class Call:
    """A media stream that sends some frames, then none, and breaks off after so many seconds, or never.

    `codes` has the codes of the client's close frames, None for a connection without one.
    """

    def __init__(self, frames: int = 0, breaks_after: float | None = None) -> None:
        self._frames, self._breaks_after = frames, breaks_after
        self._requests: list[web.Request] = []
        self.heard: list[bytes] = []
        self.codes: list[int | None] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._requests.append(request)
        speaking = asyncio.create_task(self._speak(socket, request))
        try:
            async for message in socket:
                self.heard.append(message.data)
        finally:
            speaking.cancel()
            self.codes.append(None if socket.close_code == 1006 else socket.close_code)
        return socket

    def break_off(self) -> None:
        """As the platform does: TCP ends, without a close frame."""
        for request in self._requests:
            if request.transport is not None:
                request.transport.abort()

    async def _speak(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        began = monotonic()
        for _ in range(self._frames):
            await socket.send_bytes(FRAME)
            await asyncio.sleep(0.02)
        if self._breaks_after is not None:
            await asyncio.sleep(began + self._breaks_after - monotonic())
            self.break_off()


def dialling(
    directory: Path, server: Server, more: str = "", token: str = ""
) -> contextlib.AbstractAsyncContextManager[Desk]:
    return desk(directory, SimpleNamespace(api=server.api), SILENCE, token, more)


# -- credentials ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["vb_s3cret", "env:THE_KEY", "file:DIRECTORY/key"])
async def test_an_access_key_is_sent_as_the_parameter_accesskey(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "vb_s3cret")
    (tmp_path / "key").write_text("vb_s3cret\n")
    key = form.replace("DIRECTORY", str(tmp_path))
    async with serving(Call()) as server, dialling(tmp_path, server, f'access_key = "{key}"') as ours:
        attached = await ours.attach("calls/1", "/silence")
        await eventually(lambda: attached.session.connected)
    assert dict(server.asked[0].query) == {"encapsulation": "audiosocket", "accesskey": "vb_s3cret"}


@pytest.mark.parametrize("key", ["vb_" + "x" * 410, "ab+c/secret==", "sp ace%20"])
async def test_an_access_key_is_shown_nowhere(tmp_path: Path, key: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In whatever way the server repeats it, and however long it is."""

    async def repeat(request: web.Request) -> web.StreamResponse:
        sent = request.raw_path.split("accesskey=")[1]
        return web.Response(status=401, text=f"{key} {sent} {quote(key)} {quote_plus(key)} {request.raw_path}")

    async with serving(repeat) as server, dialling(tmp_path, server, f'access_key = "{key}"') as ours:
        end = await (await ours.attach("calls/1", "/silence")).end()
    assert end.text == (
        "calls/1: refused with 401: the access key is not accepted: check that voipbin.access_key is valid and "
        "not expired (… … … … /calls/1/media_stream?…)"
    )
    told = "".join(capfd.readouterr())
    assert end.text in told
    assert not [way for way in (key, quote(key), quote(key, safe=""), quote_plus(key)) if way in told]


@pytest.mark.parametrize(
    ("token", "access_key", "status", "check"),
    [
        ("", "", 401, "set voipbin.token or voipbin.access_key"),
        ("eyJ.x.y", "", 401, "the token is not accepted: check that voipbin.token is valid and not expired"),
        ("", "vb_key", 403, "the access key may not do this: check that it belongs to the account"),
        ("eyJ.x.y", "", 429, "too many requests: set voipbin.dial_rate lower"),
    ],
)
async def test_a_refusal_names_the_setting_to_look_at(
    tmp_path: Path, token: str, access_key: str, status: int, check: str
) -> None:
    more = f'access_key = "{access_key}"\nreconnect_timeout = 0'
    async with serving(refuse(status)) as server, dialling(tmp_path, server, more, token) as ours:
        end = await (await ours.attach("calls/1", "/silence")).end()
    assert end.reason == EndReason.REFUSED
    assert f"refused with {status}: {check}" in end.text


def test_a_failure_without_a_credential_says_that_there_is_none() -> None:
    unreachable = PeerError("no name")
    assert advice.on_failure(unreachable, "calls/1", None).endswith(advice.NO_CREDENTIAL)
    known = Credential("voipbin.token", "token", "t")
    assert advice.NO_CREDENTIAL not in advice.on_failure(unreachable, "calls/1", known)


# -- how often we dial -------------------------------------------------------------------------------------------


async def test_retry_after_decides_when_the_server_is_dialled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachment, "_FIRST_WAIT", 60)  # neither it nor any jitter counts then
    monkeypatch.setattr(attachment, "_LONGEST_WAIT", 60)
    monkeypatch.setattr(attachment, "_JITTER", 60)
    answers = refuse(429, **{"Retry-After": "1"}), Call()
    async with serving(*answers) as server, dialling(tmp_path, server) as ours:
        attached = await ours.attach("calls/1", "/silence")
        await eventually(lambda: attached.session.connected)
    assert server.asked_at[1] - server.asked_at[0] >= 0.99


async def test_retry_after_does_not_extend_the_reconnect_timeout(tmp_path: Path) -> None:
    answer = refuse(429, **{"Retry-After": "3600"})
    async with serving(answer) as server, dialling(tmp_path, server, "reconnect_timeout = 0.5") as ours:
        end = await (await ours.attach("calls/1", "/silence")).end()
    assert (end.reason, end.normal) == (EndReason.REFUSED, False)
    waited = server.asked_at[1] - server.asked_at[0]
    assert 0.4 <= waited <= 0.5 + UNIT + late()  # once more, when the time is over


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, 37),  # by our clock
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:30 GMT"}, 7),
        ({"Retry-After": "Sun, 06 Nov 1994 08:48:00 GMT"}, 0),  # it is over
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Sun, 99 Nov 1994 08:49:37 GMT"}, None),
        ({"Retry-After": "9" * 400}, float("inf")),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    now = 784111740  # 08:49:00
    assert dial.seconds_to_wait(headers, now) == seconds


async def test_many_streams_are_dialled_and_dialled_again_at_the_dial_rate(tmp_path: Path) -> None:
    call, rate, count = Call(), 20, 15
    async with serving(call) as server, dialling(tmp_path, server, f"dial_rate = {rate}") as ours:
        attached = [await ours.attach(f"calls/{n}", "/silence") for n in range(count)]
        await eventually(lambda: all(each.session.connected for each in attached))
        call.break_off()
        await eventually(lambda: all(each.session.reconnects for each in attached))
    assert [request.match_info["id"] for request in server.asked[:count]] == [str(n) for n in range(count)]
    for asked_at in (server.asked_at[:count], server.asked_at[count:]):
        assert asked_at[-1] - asked_at[0] >= 0.9 * (count - 1) / rate


# -- the first media ---------------------------------------------------------------------------------------------

SOUND = speechlike(160 * 8, 4)
LINEAR, MULAW = to_bytes(SOUND), to_bytes(mulaw_decode(mulaw_encode(SOUND)))  # and what µ-law leaves of it


def frames_of(encapsulation: str, codec: str) -> list[bytes]:
    """Eight frames, as the platform may send them."""
    payload = LINEAR if codec == "slin" else mulaw_encode(SOUND)
    size = len(payload) // 8
    head: Callable[[int], bytes] = {
        "audiosocket": lambda n: struct.pack(">BH", 0x10, size),
        "sln": lambda n: b"",
        "rtp": lambda n: struct.pack(">BBHII", 0x80, 96, n, n * size, 0),
    }[encapsulation]
    return [head(n) + payload[n * size : (n + 1) * size] for n in range(8)]


@pytest.mark.parametrize("codec", ["slin", "mulaw"])
@pytest.mark.parametrize("encapsulation", ["audiosocket", "sln", "rtp"])
async def test_echo_returns_the_first_frame_that_the_peer_sends(
    tmp_path: Path, encapsulation: str, codec: str
) -> None:
    """At once with the answer to our handshake, when the handler has not begun to listen."""
    heard: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        for frame in frames_of(encapsulation, codec):
            await socket.send_bytes(frame)
        async for message in socket:
            heard.append(message.data[-320:])  # noqa: PERF401 - as it comes, and linear, whatever the peer sends
        return socket

    echo = '[paths."/echo"]\nhandler = "echo"\ndelay_ms = 20'
    async with serving(answer) as server, desk(tmp_path, SimpleNamespace(api=server.api), echo, "") as ours:
        await ours.attach("calls/1", "/echo", encapsulation=encapsulation)
        wanted = LINEAR if codec == "slin" else MULAW
        await eventually(lambda: len(b"".join(heard).lstrip(b"\0")) >= len(wanted))
    assert b"".join(frame for frame in heard if any(frame)) == wanted


# -- the end of a call -------------------------------------------------------------------------------------------


async def test_a_call_that_had_media_is_over_if_a_new_connection_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform takes connections to calls that are over, and sends nothing."""
    monkeypatch.setattr(connection, "_NO_MEDIA", 0.3 * UNIT)
    silent = Call()
    with capture_logs() as logged:
        async with serving(Call(5, breaks_after=0.3), silent) as server, dialling(tmp_path, server) as ours:
            end = await (await ours.attach("calls/1", "/silence")).end()
            await eventually(lambda: silent.codes)
    assert (end.reason, end.normal, end.text) == (EndReason.PEER_CLOSED, True, "")
    assert [entry["seconds"] for entry in logged if entry["event"] == "no media after reconnect"] == [0.3 * UNIT]
    assert silent.codes == [1000]
    assert len(server.asked) == 2


async def test_a_call_that_never_had_media_is_not_over_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bridge of one channel is silent while nobody speaks."""
    monkeypatch.setattr(connection, "_NO_MEDIA", 0.1 * UNIT)
    monkeypatch.setattr(monitor, "_CHECK_INTERVAL", 0.05 * UNIT)
    monkeypatch.setattr(monitor, "NO_AUDIO_AFTER", 0.1 * UNIT)
    with capture_logs() as logged:
        async with serving(Call(0, breaks_after=0.5 * UNIT), Call()) as server, dialling(tmp_path, server) as ours:
            attached = await ours.attach("calls/1", "/silence")
            await eventually(lambda: len(server.asked) == 2 and attached.session.connected)
            await asyncio.sleep(0.3 * UNIT)  # what had media would be over by now
            assert attached.session.end is None
            assert attached.session.connected
    assert len(server.asked) == 2
    assert [entry["problem"] for entry in logged if entry["event"] == "inbound media problem"] == [
        "no-audio"
    ]  # once


async def test_a_platform_that_drops_connections_is_dialled_again(tmp_path: Path) -> None:
    """It may be starting anew."""
    dropped, back = Call(breaks_after=0), Call(1000)
    answers = Call(5, breaks_after=0.3), dropped, dropped, back
    async with serving(*answers) as server, dialling(tmp_path, server) as ours:
        attached = await ours.attach("calls/1", "/silence")
        await eventually(lambda: len(back.heard) > 10)
        assert attached.session.end is None
    assert len(server.asked) == 4


async def test_connections_without_media_do_not_keep_a_call_alive(tmp_path: Path) -> None:
    answers = Call(5, breaks_after=0.3), Call(0, breaks_after=0.3)
    async with serving(*answers) as server, dialling(tmp_path, server, "reconnect_timeout = 1") as ours:
        end = await (await ours.attach("calls/1", "/silence")).end()
    assert (end.reason, end.text) == (EndReason.PEER_VANISHED, "calls/1: the connection broke (1006)")


async def test_a_call_that_ended_soon_is_not_blamed_on_formats(tmp_path: Path) -> None:
    answers = Call(2, breaks_after=0.05), Call(0, breaks_after=0.05)
    with capture_logs() as logged:
        async with serving(*answers) as server, dialling(tmp_path, server, "reconnect_timeout = 1") as ours:
            end = await (await ours.attach("calls/1", "/silence")).end()
    assert len(server.asked) > 2
    assert end.text == "calls/1: the connection broke (1006)"
    assert {entry["why"] for entry in logged if entry["event"] == "connection lost"} == {
        "the connection broke (1006)"
    }


@pytest.mark.parametrize(("many", "told"), [(1000, advice.DROPPED), (1, "the connection broke (1006)")])
async def test_a_peer_that_drops_us_repeatedly_seems_to_refuse_our_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, told: str
) -> None:
    """Unless it heard many frames on a connection."""
    monkeypatch.setattr(attachment, "_MANY", many)
    with capture_logs() as logged:
        async with serving(Call(10, breaks_after=0.3)) as server, dialling(tmp_path, server) as ours:
            await ours.attach("calls/1", "/silence")
            await eventually(lambda: len(server.asked) > 2)
    whys = [entry["why"] for entry in logged if entry["event"] == "connection lost"]
    assert whys[:2] == ["the connection broke (1006)", told]
