"""The admin port's API about live streams: what a caller hears of it, who may do what, and which events come."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE, from_bytes
from mediaserver.wire.rtp import Packetizer, PayloadType
from tests.server.admin.live_calls import CONFIG, LONG, SHORT, ask, bearer, calling, event, message, parts
from tests.server.process import (
    ServerProcess,
    client_session,
    connected,
    serving,
    until_nobody_plays,
    upgrade_request,
    write_config,
)
from tests.sound import write_wav
from tests.timing import PATIENCE, eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("control")
    config = write_config(folder, CONFIG)
    write_wav(folder / "prompts" / "long.wav", LONG)
    write_wav(folder / "prompts" / "short.wav", SHORT)
    with serving(config) as server:
        yield server


async def test_a_sound_interrupts_what_plays_which_goes_on_afterwards(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=playback.*").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/long") as (stream, heard):
        assert (await message(events))["type"] == "connected"
        status, answer = await ask(
            server, "POST", f"/v1/streams/{stream}/play", {"play": "short", "interrupt": True}
        )
        assert status == 202
        done = await event(events, "playback.done")
        assert done["stream"] == stream
        assert (done["data"]["playback"], done["data"]["seconds"], done["data"]["complete"]) == (
            answer["id"],
            0.1,
            True,
        )
        assert done["data"]["path"] == "/long"
        await eventually(lambda: heard.messages[-1] in parts(LONG)[3:] and parts(SHORT)[4] in heard.messages)
    at = heard.messages.index(parts(SHORT)[0])
    before = at - 1  # frames of the prompt, and then one that fades out
    assert heard.messages[:before] == parts(LONG)[:before]
    assert heard.messages[before] == fade_out(parts(LONG)[before])
    assert heard.messages[at : at + 5] == parts(SHORT)
    after = heard.messages[at + 5 :]
    assert after == parts(LONG)[before : before + len(after)]


async def test_a_sound_waits_for_what_plays_and_is_stopped_by_its_id(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=playback.*").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/silence") as (stream, heard):
        await message(events)
        first = (await ask(server, "POST", f"/v1/streams/{stream}/play", {"play": ["short", "long"]}))[1]["id"]
        second = (await ask(server, "POST", f"/v1/streams/{stream}/play", {"play": "short"}))[1]["id"]
        await eventually(lambda: parts(LONG)[2] in heard.messages)
        assert await ask(server, "DELETE", f"/v1/streams/{stream}/play/{second}") == (204, None)
        data = (await event(events, "playback.done"))["data"]
        assert (data["playback"], data["seconds"], data["complete"]) == (second, 0.0, False)
        assert await ask(server, "DELETE", f"/v1/streams/{stream}/play/{first}") == (204, None)
        data = (await event(events, "playback.done"))["data"]
        assert (data["playback"], data["complete"]) == (first, False)
        assert 0.16 <= data["seconds"] < 20
        status, answer = await ask(server, "DELETE", f"/v1/streams/{stream}/play/{first}")
        assert (status, answer["error"]) == (404, f"no playback {first} on this stream")
        await eventually(lambda: heard.messages[-1] == SILENCE)


async def test_all_is_cleared(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, heard):
        await ask(server, "POST", f"/v1/streams/{stream}/play", {"play": "long", "repeat": 3})
        await eventually(lambda: parts(LONG)[0] in heard.messages)
        assert (await ask(server, "DELETE", f"/v1/streams/{stream}/play"))[0] == 204
        await eventually(lambda: heard.messages[-1] == SILENCE)


@pytest.mark.parametrize(
    ("method", "what", "body"),
    [
        ("POST", "/play", {"play": "short"}),
        ("DELETE", "/play", None),
        ("POST", "/marks", {"name": "x"}),
        ("PUT", "/gain", {"gain": 1}),
        ("PUT", "/mute", {"muted": True, "side": "us"}),
        ("PUT", "/background", {"prompt": "short"}),
        ("PUT", "/recording", {"paused": True}),
        ("POST", "/recording", {}),
        ("POST", "/switch", {"path": "/long"}),
        ("PATCH", "/variables", {"variables": {"a": "b"}}),
        ("POST", "/digits", {"digits": "1"}),
        ("DELETE", "", None),
    ],
)
async def test_a_stream_that_is_being_closed_takes_no_requests(
    server: ServerProcess, method: str, what: str, body: object
) -> None:
    """Its peer has not answered the close frame yet, so that it is still listed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(upgrade_request("/silence?call_id=closing"))
    await reader.readuntil(b"\r\n\r\n")
    try:
        (stream,) = (await ask(server, "GET", "/v1/streams?call=closing"))[1]["streams"]
        assert (await ask(server, "DELETE", f"/v1/streams/{stream['id']}"))[0] == 204
        for name in (stream["id"], "closing"):
            got = await ask(server, method, f"/v1/streams/{name}{what}", body)
            assert got == (404, {"error": f"the stream {name} has ended"})
        assert (await ask(server, "GET", "/v1/streams?call=closing"))[1]["total"] == 1
        async with calling(server, "/silence?call_id=closing") as (another, _):
            assert (await ask(server, "GET", "/v1/streams/closing"))[1]["id"] == another
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"play": "lon"}, 404, 'no prompt "lon" (did you mean "long"?)'),
        ({"play": {"say": "!"}}, 400, "the text is empty: there is nothing to say"),
        ({"play": "long", "intrupt": True}, 400, 'body: intrupt: unknown setting (did you mean "interrupt"?)'),
    ],
)
async def test_what_cannot_be_played_is_told(server: ServerProcess, body: object, status: int, why: str) -> None:
    async with calling(server, "/silence") as (stream, _):
        got, answer = await ask(server, "POST", f"/v1/streams/{stream}/play", body)
    assert (got, answer) == (status, {"error": why})


@pytest.mark.parametrize(
    ("method", "what", "key", "start"),
    [
        ("PUT", "label", "label", "body: label: should match the pattern"),
        ("POST", "play", "play", 'no prompt "xxx'),
        ("POST", "switch", "path", "body: path: should be of at most 8000 characters"),
        ("POST", "play", "x" * 9000, "body: xxx"),
    ],
)
async def test_an_error_does_not_repeat_all_of_a_long_input(
    server: ServerProcess, method: str, what: str, key: str, start: str
) -> None:
    async with calling(server, "/silence") as (stream, _):
        status, answer = await ask(server, method, f"/v1/streams/{stream}/{what}", {key: "x" * 50_000})
    assert status in (400, 404)
    assert answer["error"].startswith(start)
    assert len(answer["error"]) == 400


async def test_a_mark_tells_when_all_before_it_was_heard(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=mark,playback.done").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/silence") as (stream, heard):
        await message(events)
        path = f"/v1/streams/{stream}"
        await ask(server, "POST", f"{path}/play", {"play": "short"})
        assert await ask(server, "POST", f"{path}/marks", {"name": "a"}) == (202, {"name": "a"})
        await ask(server, "POST", f"{path}/play", {"play": "long"})
        await ask(server, "POST", f"{path}/marks", {"name": "b"})
        told = [await message(events) for _ in range(2)]
        assert [each["type"] for each in told] == ["playback.done", "mark"]
        assert (told[1]["data"]["name"], told[1]["data"]["complete"]) == ("a", True)
        await eventually(lambda: parts(LONG)[3] in heard.messages)
        await ask(server, "DELETE", f"{path}/play")
        told = [await message(events) for _ in range(2)]
        assert {each["type"] for each in told} == {"playback.done", "mark"}
        (mark,) = [each["data"] for each in told if each["type"] == "mark"]
        assert (mark["name"], mark["complete"]) == ("b", False)
    assert parts(SHORT) + parts(LONG)[:3] == [frame for frame in heard.messages if frame != SILENCE][:8]


async def test_so_many_sounds_wait_and_no_more(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, _):
        body = {"play": "long"}
        got = [(await ask(server, "POST", f"/v1/streams/{stream}/play", body))[0] for _ in range(21)]
    assert got == [202] * 20 + [429]


async def test_a_token_does_what_its_scopes_say_and_the_log_names_it(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, _):
        status, answer = await ask(server, "DELETE", f"/v1/streams/{stream}", by="reader")
        assert (status, answer) == (403, {"error": "the token reader lacks the scope control"})
        assert (await ask(server, "GET", f"/v1/streams/{stream}", by="reader"))[1]["path"] == "/silence"
        assert (await ask(server, "GET", f"/v1/streams/{stream}", by="stranger"))[0] == 401
        assert (await ask(server, "DELETE", f"/v1/streams/{stream}", by="admin"))[0] == 204
    (line,) = [line for line in server.events("admin request") if line["path"] == f"/v1/streams/{stream}"]
    assert (line["by"], line["method"], line["status"]) == ("admin", "DELETE", 204)


async def test_a_stream_is_found_by_the_id_of_its_call(server: ServerProcess) -> None:
    async with calling(server, "/silence?call_id=abc-123") as (stream, _):
        assert (await ask(server, "GET", "/v1/streams/abc-123"))[1]["id"] == stream
        listed = (await ask(server, "GET", "/v1/streams?call=abc-123"))[1]
        assert [each["id"] for each in listed["streams"]] == [stream]
        async with calling(server, "/silence?call_id=abc-123"):
            status, answer = await ask(server, "DELETE", "/v1/streams/abc-123")
            assert status == 409
            assert answer["error"].startswith("abc-123 stands for several streams: name one of ")
        assert (await ask(server, "GET", "/v1/streams/abc-1234"))[0] == 404


async def test_a_stream_is_found_by_its_label(server: ServerProcess) -> None:
    async with calling(server, "/silence?call_id=labelled") as (first, _), calling(server, "/long") as (second, _):
        assert await ask(server, "PUT", f"/v1/streams/{first}/label", {"label": "support-7"}) == (204, None)
        assert (await ask(server, "GET", "/v1/streams/support-7"))[1]["id"] == first
        listed = (await ask(server, "GET", "/v1/streams?label=support-7"))[1]["streams"]
        assert [(each["id"], each["label"]) for each in listed] == [(first, "support-7")]
        assert "label" not in (await ask(server, "GET", f"/v1/streams/{second}"))[1]
        # A stream whose call and label are named alike is still one.
        assert await ask(server, "PUT", "/v1/streams/support-7/label", {"label": "labelled"}) == (204, None)
        assert (await ask(server, "GET", "/v1/streams/labelled"))[1]["id"] == first
        assert await ask(server, "PUT", f"/v1/streams/{second}/label", {"label": "labelled"}) == (204, None)
        error = f"labelled stands for several streams: name one of {first}, {second}"
        assert await ask(server, "GET", "/v1/streams/labelled") == (409, {"error": error})
        assert await ask(server, "PUT", f"/v1/streams/{second}/label", {"label": None}) == (204, None)
        assert (await ask(server, "GET", "/v1/streams/labelled"))[1]["id"] == first
        for wrong in ("", "a/b", "..", "a b", "x" * 101):
            assert (await ask(server, "PUT", f"/v1/streams/{first}/label", {"label": wrong}))[0] == 400


async def test_what_plays_is_told(server: ServerProcess) -> None:
    async def playing(stream: str) -> str:
        return str((await ask(server, "GET", f"/v1/streams/{stream}"))[1]["playing"])

    async with calling(server, "/long") as (long, _), calling(server, "/silence") as (quiet, heard):
        assert (await playing(long), await playing(quiet)) == ("long", "")
        await ask(server, "POST", f"/v1/streams/{quiet}/play", {"play": ["short", "long"]})
        await eventually(lambda: parts(LONG)[0] in heard.messages)
        assert await playing(quiet) == "long"


async def test_the_packets_of_a_caller_are_told(server: ServerProcess) -> None:
    packets = Packetizer(PayloadType.PCMU).packets(itertools.repeat(bytes(160)))
    async with connected(server.url("/keys?encapsulation=rtp")) as websocket:
        for n, packet in enumerate(itertools.islice(packets, 30)):
            if n != 5:
                await websocket.send_bytes(packet[-172:])
        (stream,) = (await ask(server, "GET", "/v1/streams?path=/keys"))[1]["streams"]
        async with asyncio.timeout(PATIENCE):
            while not (found := (await ask(server, "GET", f"/v1/streams/{stream['id']}"))[1])["lost_packets"]:
                await asyncio.sleep(0.02)
    assert found["lost_packets"] == 1
    assert found["jitter_ms"] >= 0
    async with calling(server, "/silence") as (other, _):
        assert not {"lost_packets", "jitter_ms"} & (await ask(server, "GET", f"/v1/streams/{other}"))[1].keys()


async def test_streams_are_listed_by_pages(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (first, _), calling(server, "/long") as (second, _):
        page = (await ask(server, "GET", "/v1/streams?limit=1"))[1]
        assert ([each["id"] for each in page["streams"]], page["total"]) == ([first], 2)
        page = (await ask(server, "GET", f"/v1/streams?limit=1&after={page['next']}"))[1]
        assert [each["id"] for each in page["streams"]] == [second]
        assert "next" not in page
        page = (await ask(server, "GET", "/v1/streams?path=/long"))[1]
        assert ([each["id"] for each in page["streams"]], page["total"]) == ([second], 1)
        assert (await ask(server, "GET", "/v1/streams?limit=0"))[0] == 400
        why = "after should be a whole number: the `next` of an answer"
        assert await ask(server, "GET", "/v1/streams?after=none") == (400, {"error": why})


async def test_a_walk_through_pages_survives_the_end_of_the_stream_that_it_stands_at(
    server: ServerProcess,
) -> None:
    async with calling(server, "/silence") as (first, _), contextlib.AsyncExitStack() as ended:
        second, _ = await ended.enter_async_context(calling(server, "/silence"))
        async with calling(server, "/silence") as (third, _):
            assert (await ask(server, "GET", "/v1/streams?limit=1"))[1]["streams"][0]["id"] == first
            page = (await ask(server, "GET", "/v1/streams?limit=2"))[1]
            assert [each["id"] for each in page["streams"]] == [first, second]
            assert (await ask(server, "DELETE", f"/v1/streams/{second}"))[0] == 204
            async with asyncio.timeout(PATIENCE):
                while (await ask(server, "GET", "/v1/streams"))[1]["total"] > 2:
                    await asyncio.sleep(0.02)
            rest = (await ask(server, "GET", f"/v1/streams?limit=2&after={page['next']}"))[1]
            assert [each["id"] for each in rest["streams"]] == [third]
            assert "next" not in rest


async def test_events_of_one_stream_continue_after_the_last_that_was_seen(server: ServerProcess) -> None:
    async with calling(server, "/keys") as (stream, _):
        url = server.admin_url(f"/v1/streams/{stream}/events").replace("http", "ws")
        async with connected(url, headers=bearer("reader")) as events:
            start = await message(events)
            async with calling(server, "/silence"):  # whose events are not ours
                await ask(server, "POST", f"/v1/streams/{stream}/digits", {"digits": "5"})
                first = await event(events, "digits")
        await ask(server, "POST", f"/v1/streams/{stream}/digits", {"digits": "6"})
        async with connected(f"{url}?after={first['sequence']}", headers=bearer("reader")) as events:
            assert await message(events) == {"type": "connected", "sequence": first["sequence"], "missed": 0}
            second = await message(events)
    assert (first["data"]["digits"], second["data"]["digits"]) == ("5", "6")
    assert start["sequence"] < first["sequence"] < second["sequence"]
    assert first["stream"] == second["stream"] == stream
    await until_nobody_plays(server, headers=bearer("reader"))
    async with connected(f"{url}?after={second['sequence']}", headers=bearer("reader")) as events:
        assert (await event(events, "stream.ended"))["stream"] == stream
    assert (await ask(server, "GET", f"/v1/streams/{'0' * 12}/events"))[0] == 404


async def test_a_ticket_opens_one_path_once(server: ServerProcess) -> None:
    path = "/v1/events"
    ticket = (await ask(server, "POST", "/v1/tickets", {"path": path}, by="reader"))[1]["ticket"]
    url = server.admin_url(path).replace("http", "ws")
    async with connected(f"{url}?ticket={ticket}") as events:
        assert (await message(events))["type"] == "connected"
    for again in (
        ticket,
        "x",
        (await ask(server, "POST", "/v1/tickets", {"path": "/x"}, by="reader"))[1]["ticket"],
    ):
        async with client_session() as client, client.get(f"{server.admin_url(path)}?ticket={again}") as response:
            assert response.status == 401
            assert "WWW-Authenticate" in response.headers
    assert ticket not in server.log_file.read_text()


async def test_those_who_wait_for_events_leave_room_for_others(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events").replace("http", "ws")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            await message(await stack.enter_async_context(connected(url, headers=bearer("reader"))))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stack.enter_async_context(connected(url, headers=bearer("reader")))
        assert refused.value.status == 503
        assert (await ask(server, "GET", "/v1/streams"))[0] == 200


async def test_a_request_that_is_sent_twice_with_a_key_is_acted_upon_once(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, _), client_session() as client:
        url, headers = server.admin_url(f"/v1/streams/{stream}/play"), bearer("agent") | {"Idempotency-Key": "k"}
        answers = [await (await client.post(url, json={"play": "long"}, headers=headers)).json() for _ in range(2)]
        assert answers[0] == answers[1]
        (playback,) = {answer["id"] for answer in answers}
        assert (await ask(server, "DELETE", f"/v1/streams/{stream}/play/{playback}"))[0] == 204


async def test_a_background_is_heard_until_it_is_ended(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, heard):
        body = {"prompt": "short", "level": -20}
        assert (await ask(server, "PUT", f"/v1/streams/{stream}/background", body))[0] == 204
        await eventually(lambda: heard.messages[-1] != SILENCE)
        assert (await ask(server, "PUT", f"/v1/streams/{stream}/background", {"prompt": None}))[0] == 204
        await eventually(lambda: heard.messages[-1] == SILENCE)
        status, answer = await ask(server, "PUT", f"/v1/streams/{stream}/background", {"prompt": "x"})
        assert (status, answer) == (404, {"error": 'no prompt "x"'})


async def test_variables_are_set_and_removed(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=digits").replace("http", "ws")
    async with (
        connected(url, headers=bearer("reader")) as events,
        calling(server, "/keys?customer=77&lang=de") as (stream, _),
    ):
        await message(events)
        path, body = f"/v1/streams/{stream}/variables", {"variables": {"customer": "78", "lang": None, "vip": "1"}}
        assert await ask(server, "PATCH", path, body) == (200, {"variables": {"customer": "78", "vip": "1"}})
        await ask(server, "POST", f"/v1/streams/{stream}/digits", {"digits": "5"})
        assert (await event(events, "digits"))["data"]["variables"] == {"customer": "78", "vip": "1"}
        many = {"variables": {f"v{number}": "1" for number in range(49)}}
        status, answer = await ask(server, "PATCH", path, many)
        assert (status, answer) == (400, {"error": "variables: a stream may have at most 50"})


async def test_a_token_that_is_taken_away_ends_what_lasts(tmp_path: Path) -> None:
    tokens = "".join(f'[admin.tokens.{name}]\ntoken = "of-the-{name}"\n' for name in ("reader", "agent", "caller"))
    tokens += 'scopes = ["control"]\n'
    config = write_config(tmp_path, f'{tokens}[paths."/s"]\nhandler = "silence"')
    with serving(config) as server:
        url = server.admin_url("/v1/events?type=listening.*").replace("http", "ws")
        calls = server.admin_url("/v1/paths/call?path=/s").replace("http", "ws")
        async with (
            connected(url, headers=bearer("reader")) as gone,
            connected(url, headers=bearer("agent")) as kept,
            connected(calls, headers=bearer("caller")) as called,
        ):
            await message(gone)
            await message(kept)
            await message(called)
            ticket = (await ask(server, "POST", "/v1/tickets", {"path": "/v1/tickets"}, by="reader"))[1]["ticket"]
            text = config.read_text().replace("of-the-reader", "of-another")
            config.write_text(text.replace("of-the-caller", "of-another-caller"))
            server.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(PATIENCE):
                assert (await gone.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)
                while (last := await called.receive()).type is aiohttp.WSMsgType.BINARY:
                    pass
            assert (called.close_code, last.extra) == (1008, "the token is no longer valid")
            path = f"/v1/tickets?ticket={ticket}"
            assert (await ask(server, "POST", path, {"path": "/v1/events"}, by="reader"))[0] == 401
            assert (await ask(server, "POST", "/v1/tickets", {"path": "/v1/events"}))[0] == 200
            assert not kept.closed


async def test_what_was_heard_of_an_interrupted_sound_counts_when_it_is_stopped(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=playback.*").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/silence") as (stream, heard):
        await message(events)
        path = f"/v1/streams/{stream}/play"
        first = (await ask(server, "POST", path, {"play": "long"}))[1]["id"]
        await eventually(lambda: parts(LONG)[10] in heard.messages)
        await ask(server, "POST", path, {"play": "long", "interrupt": True})
        await ask(server, "DELETE", f"{path}/{first}")
        data = (await event(events, "playback.done"))["data"]
        assert (data["playback"], data["complete"]) == (first, False)
        assert data["seconds"] >= 0.2


async def test_a_background_that_there_is_not_changes_no_level(server: ServerProcess) -> None:
    async with calling(server, "/silence") as (stream, heard):
        path = f"/v1/streams/{stream}/background"
        assert (await ask(server, "PUT", path, {"prompt": "x", "level": -60, "ducking": 60}))[0] == 404
        assert (await ask(server, "PUT", path, {"prompt": "short"}))[0] == 204
        await eventually(lambda: np.abs(from_bytes(heard.messages[-1]).astype(int)).max() > 500)


@pytest.mark.parametrize("limit", ["00000000015000", "1" + 5000 * "0", "-1", "x", "1001", "%C2%B2"])
async def test_a_limit_that_is_none_is_refused(server: ServerProcess, limit: str) -> None:
    status, answer = await ask(server, "GET", f"/v1/streams?limit={limit}")
    assert (status, answer) == (400, {"error": "limit should be a whole number from 1 to 1000"})


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/healthz", {}, 405),
        ("/v1/tickets", {}, 401),
        ("/v1/attach", bearer("agent"), 400),
        ("/v1/attach", bearer("agent") | {"Idempotency-Key": "gzip"}, 400),
    ],
)
async def test_a_body_that_is_none_leaves_no_traceback(
    server: ServerProcess, path: str, headers: dict[str, str], status: int
) -> None:
    sent = {"Host": "localhost", "Content-Encoding": "gzip", "Content-Length": "5"} | headers
    reader, writer = await asyncio.open_connection(*server.admin.split(":"))
    lines = (f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", "hello")
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.close()
        await reader.read()
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "Server: mediaserver" in head
    assert (await ask(server, "GET", "/v1/streams"))[0] == 200  # what was logged of it is there by now
    text = server.log_file.read_text()
    assert "Traceback" not in text
    assert "Unhandled" not in text


def test_mistakes_in_tokens_are_told(tmp_path: Path) -> None:
    from mediaserver import config

    admin = """
        [admin.tokens]
        "a b" = { token = "x" }
        c = { token = "" }
        d = { token = "y", scopes = ["raed"] }
    """
    _, problems = config.load(write_config(tmp_path, f'{admin}\n[paths."/s"]\nhandler = "silence"'))
    told = "\n".join(problems)
    assert 'admin.tokens."a b"' in told
    assert "should be a name of letters, digits, - and _, 40 at most" in told
    assert 'admin.tokens.c: token is empty: set one, or where to read it, as in "env:NAME"' in told
    assert 'should be "read", "listen", "control" or "prompts" (did you mean "read"?)' in told


async def test_the_shutdown_ends_those_who_wait_for_events(tmp_path: Path) -> None:
    with serving(write_config(tmp_path, '[paths."/s"]\nhandler = "silence"')) as server:
        async with connected(server.admin_url("/v1/events").replace("http", "ws")) as events:
            await message(events)
            stopped = asyncio.create_task(asyncio.to_thread(server.stop))
            async with asyncio.timeout(PATIENCE):
                assert (await events.receive()).type == aiohttp.WSMsgType.CLOSE
            assert events.close_code == 1001
            assert await stopped == 0
