"""Attached streams: what the platform receives, and what happens when the connection breaks."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest

from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from mediaserver.call import CloseCode, EndReason
from mediaserver.client import connection
from mediaserver.errors import RefusedError
from tests.client.attached import Desk, desk
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import PATIENCE, UNIT, eventually, late
from tests.twin import Twin, coded

SPEECH = speechlike(8000)
PCM = SPEECH.astype("<i2").tobytes()
PATHS = """
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
linger_ms = 0
[paths."/silence"]
handler = "silence"
"""


@pytest.fixture
async def ours(tmp_path: Path, twin: Twin) -> AsyncIterator[Desk]:
    write_wav(tmp_path / "prompts/speech.wav", SPEECH)
    # no two frames alike, so that each is known by its sound: 12 s
    numbered = np.repeat(np.arange(1, 601, dtype=np.int16) * 50, 160)
    write_wav(tmp_path / "prompts/numbered.wav", numbered)
    async with desk(tmp_path, twin, PATHS, more="dial_rate = 1000") as ours:
        yield ours


@pytest.mark.parametrize("encapsulation", ["audiosocket", "sln", "rtp"])
@pytest.mark.parametrize("kind", ["calls", "conferences"])
async def test_the_peer_receives_what_is_played(ours: Desk, twin: Twin, encapsulation: str, kind: str) -> None:
    resource = twin.call() if kind == "calls" else twin.conference()
    attached = await ours.attach(f"{kind}/{resource.id}", "/play/speech", encapsulation=encapsulation)
    stream = await resource.stream()
    end = await attached.end()
    assert (end.reason, end.code) == (EndReason.FINISHED, CloseCode.NORMAL)
    assert end.normal
    await stream.over()
    assert stream.errors == []
    # On a busy machine the first tick may come before the handler plays: silence is sent then.
    assert stream.heard.removeprefix(bytes(FRAME_BYTES)) == PCM
    assert stream.peer_code == 1000
    assert twin.requests[0].encapsulation == encapsulation


async def test_a_platform_that_sends_nothing_gets_audiosocket_messages(ours: Desk, twin: Twin) -> None:
    call = twin.call(quiet=True)
    attached = await ours.attach(f"calls/{call.id}", "/play/speech")
    stream = await call.stream()
    await attached.end()
    await stream.over()
    assert stream.errors == []
    assert stream.heard.endswith(PCM)
    assert not any(stream.heard[: -len(PCM)])  # silence for two seconds: nobody was heard


@pytest.mark.parametrize("code", [1000, None])
async def test_the_calls_end_is_the_streams_end(ours: Desk, twin: Twin, code: int | None) -> None:
    """With a close frame or, as the platform does it, without one: dialling again then finds no call."""
    call = twin.call()
    call.faults.close_code = code
    attached = await ours.attach(f"calls/{call.id}", "/silence")
    stream = await call.stream()
    await eventually(lambda: stream.heard)
    call.hang_up()
    end = await attached.end()
    assert (end.reason, end.normal) == (EndReason.PEER_CLOSED, True)
    assert len(twin.requests) == (1 if code else 2)


@pytest.mark.parametrize(
    ("token", "forbidden", "status", "advice"),
    [
        ("wrong", False, 401, "the token is not accepted: check that voipbin.token is valid and not expired"),
        ("t0ken", True, 403, "the token may not do this"),
        (
            "t0ken",
            False,
            404,
            "no such call or conference: check the id, and that the call is answered and not over",
        ),
    ],
)
async def test_refusals_are_final_and_say_what_to_check(
    tmp_path: Path,
    twin: Twin,
    token: str,
    forbidden: bool,
    status: int,
    advice: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if forbidden:
        twin.forbid(token)
    call = twin.call(answered=status != 404)
    async with desk(tmp_path, twin, PATHS, token) as ours:
        end = await (await ours.attach(f"calls/{call.id}", "/silence")).end()
    assert (end.reason, end.normal) == (EndReason.REFUSED, False)
    assert f"calls/{call.id}: refused with {status}: {advice}" in end.text
    assert len(twin.requests) == 1
    assert token not in capfd.readouterr().err.replace("voipbin.token", "")


async def test_a_busy_platform_is_dialled_again(ours: Desk, twin: Twin) -> None:
    call = twin.call()
    call.faults.refuse = [503, 502, 429]
    attached = await ours.attach(f"calls/{call.id}", "/play/speech")
    assert (await attached.end()).reason == EndReason.FINISHED
    assert [asked.status for asked in twin.requests] == [503, 502, 429, 101]
    waits = np.diff([asked.at for asked in twin.requests])
    assert waits[0] >= 0.1
    assert waits[2] >= 0.4  # exponential


@pytest.mark.parametrize("path", ["/nothing", "/play/nothing"])
async def test_an_unknown_path_or_prompt_is_refused(ours: Desk, twin: Twin, path: str) -> None:
    with pytest.raises(RefusedError, match="nothing") as refused:
        await ours.attach("calls/1", path)
    assert refused.value.status == 404
    assert twin.requests == []


async def test_every_sample_is_received_once_or_counted_as_lost_however_often_the_connection_breaks(
    ours: Desk, twin: Twin
) -> None:
    cuts, dice = 50, random.Random(1)
    call = twin.call()
    attached = await ours.attach(f"calls/{call.id}", "/play/numbered")
    heard: list[int] = []
    streams = []
    for _ in range(cuts):
        stream = await call.stream()
        streams.append(stream)
        frames = dice.randrange(6, 12)
        await eventually(lambda: len(stream.heard_at) >= frames)  # noqa: B023
        await asyncio.sleep(dice.random() * 0.02)
        stream.cut()
    streams.append(await call.stream())
    end = await attached.end()
    await streams[-1].over()
    assert end.reason == EndReason.FINISHED
    for stream in streams:
        assert stream.errors == []
        heard += [int(n) for n in np.frombuffer(stream.heard, "<i2")[::160] // 50]
    sounding = [n for n in heard if n]
    assert sounding == sorted(set(sounding))  # nothing twice, nothing out of order
    missing = 600 - len(sounding)
    session = attached.session
    assert missing <= session.lost <= 25 * cuts + 25
    assert session.reconnects == cuts
    silent = session.frames - 600  # until the platform was heard, each time
    assert 0 <= silent <= (cuts + 1) * (10 * UNIT + late() / 0.02)
    assert missing < 2 * cuts


def sound(heard: bytes) -> bytes:
    """Received audio without the frames of silence before and after it."""
    frames = np.flatnonzero(np.frombuffer(heard, "<i2").reshape(-1, 160).any(axis=1))
    return heard[frames[0] * 320 : (frames[-1] + 1) * 320]


async def test_handlers_wait_through_an_outage(ours: Desk, twin: Twin) -> None:
    call = twin.call()
    attached = await ours.attach(f"calls/{call.id}", "/play/speech")
    first = await call.stream()
    await eventually(lambda: len(first.heard_at) >= 10)
    call.faults.refuse = [503] * 2
    first.cut()
    second = await call.stream()
    await attached.end()
    await second.over()
    before, after = sound(first.heard), sound(second.heard)
    assert PCM.startswith(before)
    assert PCM.endswith(after)
    missing = len(PCM) - len(before) - len(after)
    assert 0 <= missing <= attached.session.lost * 320


async def test_dialling_again_ends_after_the_reconnect_timeout(tmp_path: Path, twin: Twin) -> None:
    async with desk(
        tmp_path, twin, '[paths."/silence"]\nhandler = "silence"', more="reconnect_timeout = 0.5"
    ) as ours:
        call = twin.call()
        attached = await ours.attach(f"calls/{call.id}", "/silence")
        stream = await call.stream()
        await eventually(lambda: stream.heard_at)
        call.faults.refuse = [503] * 100
        stream.cut()
        end = await attached.end()
        assert (end.reason, end.normal) == (EndReason.REFUSED, False)
        assert "503" in end.text


async def test_many_at_once_and_each_can_be_hung_up(ours: Desk, twin: Twin) -> None:
    calls = [twin.call() for _ in range(20)]
    attached = [await ours.attach(f"calls/{call.id}", "/silence") for call in calls]
    streams = [await call.stream() for call in calls]
    await eventually(lambda: all(len(stream.heard_at) > 5 for stream in streams))
    assert len(ours.engine.streams) == 20
    for each in attached:
        each.session.call.close()
    assert {(await each.end()).reason for each in attached} == {EndReason.FINISHED}
    assert not list(ours.engine.streams)
    assert ours.engine.ticker.streams == 0


async def test_an_outage_does_not_keep_a_stream_from_ending(ours: Desk, twin: Twin) -> None:
    call = twin.call()
    attached = await ours.attach(f"calls/{call.id}", "/silence")
    stream = await call.stream()
    await eventually(lambda: stream.heard_at)
    call.faults.refuse = [503] * 1000
    stream.cut()
    await eventually(lambda: len(twin.requests) > 1)
    attached.session.call.close()
    assert (await asyncio.wait_for(attached.end(), PATIENCE)).reason == EndReason.FINISHED
    assert not list(ours.engine.streams)


async def test_an_outage_is_silence_in_a_recording(tmp_path: Path, twin: Twin) -> None:
    recording = f'[paths."/record"]\nhandler = "record"\ndirectory = "{tmp_path}"\nfile = "a.wav"\n'
    said = [to_bytes(speechlike(3200, seed)) for seed in (1, 2)]
    async with desk(tmp_path, twin, recording) as ours:
        call = twin.call()
        attached = await ours.attach(f"calls/{call.id}", "/record")
        first = await call.stream()
        await eventually(lambda: first.heard_at)
        first.say(said[0])
        await eventually(lambda: not first.speaking)
        call.faults.refuse = [503] * 2
        first.cut()
        cut = time.monotonic()
        second = await call.stream()
        away = time.monotonic() - cut
        second.say(said[1])
        await eventually(lambda: not second.speaking)
        call.hang_up()
        await attached.end()
    recorded = read_wav(tmp_path / "a.wav").tobytes()
    places = [recorded.find(coded(pcm)) // 2 for pcm in said]
    assert places[0] >= 0
    assert places[1] >= places[0] + 3200
    gap = (places[1] - places[0] - 3200) / 8000
    assert gap == pytest.approx(away, abs=0.15 * UNIT + late())


async def test_attachments_end_when_the_server_shuts_down(ours: Desk, twin: Twin) -> None:
    call = twin.call()
    attached = await ours.attach(f"calls/{call.id}", "/silence")
    stream = await call.stream()
    await eventually(lambda: stream.heard_at)
    await ours.attacher.close()
    assert attached.ending.done()
    await stream.over()
    assert ours.engine.ticker.streams == 0


async def test_more_than_a_hundred_at_once(ours: Desk, twin: Twin) -> None:
    call = twin.call()
    attached = [await ours.attach(f"calls/{call.id}", "/silence") for _ in range(130)]
    await eventually(lambda: len(call.streams) == 130)
    call.hang_up()
    assert {(await each.end()).reason for each in attached} == {EndReason.PEER_CLOSED}


async def test_a_path_with_a_pattern_of_its_own(tmp_path: Path, twin: Twin) -> None:
    write_wav(tmp_path / "prompts/a/b.wav", SPEECH)
    paths = '[paths."/any/{prompt:.+}"]\nhandler = "playback"\nprompt = "{prompt}"\nlinger_ms = 0'
    async with desk(tmp_path, twin, paths) as ours:
        call = twin.call()
        attached = await ours.attach(f"calls/{call.id}", "/any/a/b")
        stream = await call.stream()
        await attached.end()
        await stream.over()
        assert stream.heard == PCM


async def test_a_platform_that_drops_our_audio_is_given_up_with_advice(tmp_path: Path, twin: Twin) -> None:
    paths = PATHS.split("[paths", 1)[0] + '[paths."/silence"]\nhandler = "silence"'
    async with desk(tmp_path, twin, paths, more="reconnect_timeout = 1") as ours:
        call = twin.call(quiet=True)
        call.faults.cut_after = 1
        attached = await ours.attach(f"calls/{call.id}", "/silence")
        end = await attached.end()
    assert (end.reason, end.normal) == (EndReason.PEER_VANISHED, False)
    assert "the peer does not take the audio's format" in end.text
    assert len(twin.requests) < 8


@pytest.mark.parametrize("body", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 404 Nothing\r\n\r\n{request}"])
async def test_a_token_in_the_server_s_answer_is_not_shown(
    tmp_path: Path, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(body.replace(b"{request}", request))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    there = SimpleNamespace(api=f"http://user:pa55word@{host}/v1.0")
    path = '[paths."/silence"]\nhandler = "silence"'
    async with desk(tmp_path, there, path, "v3ry/secret", "reconnect_timeout = 0.5") as ours:
        attached = await ours.attach("calls/1", "/silence")
        assert attached.session.stream.peer == host
        end = await attached.end()
    server.close()
    assert not end.normal
    out, err = capfd.readouterr()
    for secret in ("v3ry", "pa55word"):
        assert secret not in end.text + out + err + str(attached.session.stream) + str(attached.session.summary())


async def test_a_token_file_that_goes_missing_is_named(tmp_path: Path, twin: Twin) -> None:
    (tmp_path / "token").write_text(twin.token)
    path = '[paths."/silence"]\nhandler = "silence"'
    async with desk(tmp_path, twin, path, f"file:{tmp_path}/token") as ours:
        call = twin.call()
        attached = await ours.attach(f"calls/{call.id}", "/silence")
        stream = await call.stream()
        await eventually(lambda: len(stream.heard_at) > 10)
        (tmp_path / "token").unlink()
        stream.cut()
        end = await attached.end()
    assert end.text == f"voipbin.token: {tmp_path}/token cannot be read: No such file or directory"


async def test_a_long_outage_is_not_a_slow_disk(tmp_path: Path, twin: Twin) -> None:
    recording = f'[paths."/record"]\nhandler = "record"\ndirectory = "{tmp_path}"\nfile = "a.wav"\n'
    async with desk(tmp_path, twin, recording) as ours:
        call = twin.call()
        attached = await ours.attach(f"calls/{call.id}", "/record")
        stream = await call.stream()
        await eventually(lambda: len(stream.said_at) > 10)
        hearing = attached.session.receiver
        hearing.pause()
        assert hearing._paused_at is not None
        hearing._paused_at -= 20  # as after twenty seconds without a connection
        hearing.switch_wire(hearing.wire)
        call.hang_up()
        await attached.end()
    assert len(read_wav(tmp_path / "a.wav")) > 20 * 8000


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (1008, "closed by the peer with 1008: the platform's policy: check that voipbin.token is still valid"),
        (1003, "closed by the peer with 1003: the peer does not take our messages"),
        (4321, "closed by the peer with 4321: no cause of this close code is known"),
    ],
)
async def test_a_close_that_is_not_normal_is_final_and_explained(
    ours: Desk, twin: Twin, code: int, why: str
) -> None:
    call = twin.call()
    call.faults.close_code = code
    attached = await ours.attach(f"calls/{call.id}", "/silence")
    stream = await call.stream()
    await eventually(lambda: stream.heard_at)
    call.hang_up()
    end = await attached.end()
    assert (end.reason, end.code, end.normal) == (EndReason.PEER_CLOSED, code, False)
    assert why in end.text
    assert len(twin.requests) == 1


async def test_a_flood_is_dropped_for_good(ours: Desk, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_RATE", 200)  # a second; a slow machine manages no more than a thousand
    call = twin.call()
    attached = await ours.attach(f"calls/{call.id}", "/silence")
    stream = await call.stream()
    await eventually(lambda: stream.heard_at)
    flooding = asyncio.create_task(stream.inject(*[b"\x10\x01\x40" + bytes(320)] * 20_000))
    end = await attached.end()
    assert end.reason == EndReason.FLOOD
    assert len(twin.requests) == 1
    flooding.cancel()
    await asyncio.wait((flooding,))


async def test_a_server_that_is_full_attaches_no_more(tmp_path: Path, twin: Twin) -> None:
    path = '[paths."/silence"]\nhandler = "silence"'
    async with desk(tmp_path, twin, path, more="[server]\nmax_streams = 3") as ours:
        call = twin.call()

        asked = [ours.attach(f"calls/{call.id}", "/silence") for _ in range(20)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer.status for answer in answers if isinstance(answer, RefusedError)]
        assert refused == [503] * 17
        await eventually(lambda: len(call.streams) == 3)
        assert len(ours.engine.streams) == 3


@pytest.mark.parametrize("token", ["x" * 410, "ab+c/secret==", "sp ace%20"])
async def test_a_token_that_a_refusal_repeats_is_not_shown(tmp_path: Path, token: str) -> None:
    """However the token is escaped, and however long it is."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        sent = re.findall(r"token=(\S+)", request)[0]
        body = f"no good: {token} {sent} {quote(token)}".encode()
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    there = SimpleNamespace(api=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with desk(tmp_path, there, '[paths."/silence"]\nhandler = "silence"', token) as ours:
        end = await (await ours.attach("calls/1", "/silence")).end()
    server.close()
    assert end.text.endswith("(no good: … … …)")
