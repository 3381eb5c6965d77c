"""Refusals before the upgrade: the status, and the one line that says why."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest

from tests.server.process import (
    UPGRADE,
    ServerProcess,
    connected,
    get,
    listen,
    refusal,
    serving,
    until_nobody_plays,
    write_config,
)
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE

PATHS = """
[paths."/audio-stream"]
handler = "playback"
prompt = "welcome"
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
[paths."/tone/{tone}"]
handler = "tone"
tone = "{tone}"
[paths."/silence"]
handler = "silence"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("server")
    config = write_config(directory, PATHS, max_streams=2)
    write_wav(directory / "prompts/welcome.wav", speechlike(800))
    (directory / "prompts/broken.wav").write_bytes(b"RIFF, or so it says")
    with serving(config) as server:
        yield server


@pytest.fixture(autouse=True)
async def nobody_plays(server: ServerProcess) -> None:
    """Wait until no stream of an earlier test counts against the low limits."""
    await until_nobody_plays(server)


@pytest.mark.parametrize(
    ("path", "status", "line"),
    [
        ("/nope", 404, "no path /nope"),
        ("/audio-strem", 404, 'no path /audio-strem (did you mean "/audio-stream"?)'),
        ("/play/welcom", 404, 'no prompt "welcom" (did you mean "welcome"?)'),
        ("/play/broken", 404, 'prompt "broken" cannot be played: broken.wav is text, not sound'),
        ("/play/../../etc/passwd", 404, "no path /etc/passwd"),
        ("/play/..%2f..%2fetc%2fpasswd", 404, 'no prompt "../../etc/passwd"'),
        ("/play/%2fetc%2fpasswd", 404, 'no prompt "/etc/passwd"'),
        ("/play/a%0d%0aX-Evil:%20yes", 404, "no path /play/a X-Evil: yes"),
        ("/tone/bsy", 404, 'tone: no tone "bsy" (did you mean "busy"?)'),
        ("/audio-stream?encapsulation=g729", 400, 'encapsulation="g729" is none of audiosocket, rtp, sln'),
        ("/audio-stream?framing=tcp", 400, 'framing="tcp" is none of auto, pcm, message'),
        ("/audio-stream?rtp_payload=opus", 400, 'rtp_payload="opus" is none of auto, pcmu, pcma, l16'),
        ("/audio-stream?repeat=0", 400, 'repeat: should be a count of 1 to 1000000, or "forever"'),
        ("/silence?repeat=2", 400, "repeat is not for /silence, which does not repeat anything"),
        ("/audio-stream?" + "&" * 100, 400, "the query has more than 100 keys"),
        ("/play/" + "x" * 2048, 414, "the path is longer than 2048 characters"),
        ("/play" + "/x" * 65, 414, "the path has more than 64 segments"),
        ("/audio-stream?repeat=often", 400, 'repeat: should be a count of 1 to 1000000, or "forever"'),
    ],
)
async def test_refusals(server: ServerProcess, path: str, status: int, line: str) -> None:
    got, text = await refusal(server.url(path))
    assert got == status
    assert text.startswith(line)
    assert text.endswith("\n")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/silence?framing=topsecret", "framing: the value in the URL is none of auto, pcm, message"),
        ("/audio-stream?repeat=topsecret", "repeat: the value in the URL is not valid"),
        ("/silence?repeat=topsecret", "repeat is not for /silence, which does not repeat anything"),
    ],
)
async def test_of_a_query_that_is_wrong_the_key_is_logged_and_not_the_value(
    server: ServerProcess, path: str, why: str
) -> None:
    assert (await refusal(server.url(path)))[0] == 400
    told = server.events("refused")[-1]
    assert (told["reason"], told["why"]) == ("bad-query", why)
    assert "topsecret" not in server.log_file.read_text()


@pytest.mark.parametrize("path", ["/" + "x" * 15_000, "/" + "%F0%9D%84%9E" * 1200, "/play/" + "x" * 2000])
async def test_a_long_path_is_cut_in_the_log(server: ServerProcess, path: str) -> None:
    before = logged = len(server.events("refused"))
    async with asyncio.timeout(PATIENCE):
        while logged == before:  # of refusals right after one another, the log has twenty a second
            size = server.log_file.stat().st_size
            status, _ = await refusal(server.url(path))
            logged = len(server.events("refused"))
    told = server.events("refused")[-1]
    assert told["status"] == status
    length = len(unquote(path))
    assert told["path"] == f"{unquote(path)[:400]}… ({length} characters)"
    assert server.log_file.stat().st_size - size < 12 * 2 * 500


async def test_a_plain_request_is_told_to_upgrade(server: ServerProcess) -> None:
    status, text = await get(server.url("/audio-stream", "http"))
    assert (status, text) == (426, "/audio-stream is a media stream: connect to it by WebSocket\n")


async def test_a_plain_request_for_an_unknown_path_gets_404_before_426(server: ServerProcess) -> None:
    assert (await get(server.url("/play/nope", "http")))[0] == 404


async def test_another_method_is_refused_and_told_the_right_one(server: ServerProcess) -> None:
    async with aiohttp.ClientSession() as client, client.post(server.url("/silence", "http")) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET")
        assert (await response.text()).startswith("POST is not allowed on a media path")


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Sec-WebSocket-Version": "99"}, "Sec-WebSocket-Version must be 13"),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, "Sec-WebSocket-Key must be 16 bytes in base64"),
        ({"Sec-WebSocket-Key": "no base64 at all"}, "Sec-WebSocket-Key must be 16 bytes in base64"),
        ({"Connection": "keep-alive"}, "there is no Connection: Upgrade"),
    ],
)
async def test_a_handshake_that_is_wrong_is_a_bad_request(
    server: ServerProcess, headers: dict[str, str], why: str
) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(server.url("/silence", "http"), headers=UPGRADE | headers) as response,
    ):
        assert (response.status, await response.text()) == (400, f"the WebSocket handshake is wrong: {why}\n")
        assert response.headers["Sec-WebSocket-Version"] == "13"  # RFC 6455, section 4.4


@pytest.mark.parametrize(
    ("request_line", "connection", "status"),
    [
        ("GET /silence HTTP/1.1", "Connection: keep-alive\r\nConnection: Upgrade", b"101"),
        ("GET /silence HTTP/1.1", "Connection: keep-alive, UPGRADE", b"101"),
        ("GET /silence HTTP/1.0", "Connection: Upgrade", b"400"),
        ("GET /silence HTTP/2.0", "Connection: Upgrade", b"400"),
    ],
)
async def test_a_handshake_as_others_write_it(
    server: ServerProcess, request_line: str, connection: str, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    writer.write(f"{request_line}\r\nHost: x\r\n{connection}\r\nUpgrade: websocket\r\n{key}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert head.split()[1] == status
    assert (b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head) == (status == b"101")  # RFC 6455, 1.3


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (
            b"\x16\x03\x01\x02\x00\x01",
            "the peer speaks TLS, and this port does not: let it dial ws://, or set [tls]",
        ),
        (b"\x01\x00\x10" + bytes(16), "the peer speaks AudioSocket: let it dial a port of [audiosocket]"),
    ],
)
async def test_a_peer_that_speaks_something_else_is_told_of(server: ServerProcess, sent: bytes, why: str) -> None:
    async def dial() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        assert (await reader.read()).endswith(f"\r\n\r\n{why}\n".encode())
        writer.close()
        await writer.wait_closed()

    told: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE):
        while not told:  # of many refusals in a second, those of other tests included, some are not logged
            await dial()
            told = [each for each in server.events("refused") if each["why"] == why]
    assert told[0]["reason"] == "malformed"


async def test_a_full_server_refuses_and_recovers(server: ServerProcess) -> None:
    async with connected(server.url("/silence")) as first, connected(server.url("/silence")) as second:
        await first.receive_bytes()
        await second.receive_bytes()
        status, text = await refusal(server.url("/silence"))
        assert (status, text) == (503, "full: 2 streams are playing, try again later\n")
    await until_nobody_plays(server)
    heard = await listen(server.url("/audio-stream"))
    assert heard.close_code == 1000


async def test_refusals_are_counted_and_logged_without_the_query(server: ServerProcess) -> None:
    await refusal(server.url("/nope?token=topsecret"))
    _, metrics = await get(server.admin_url("/metrics"))
    assert 'mediaserver_refusals_total{reason="unknown-path",status="404"}' in metrics
    assert server.events("refused")[-1]["path"] == "/nope"
    assert "topsecret" not in server.log_file.read_text()


async def test_the_public_port_has_no_health_and_the_admin_port_no_media(server: ServerProcess) -> None:
    assert (await get(server.url("/metrics", "http")))[0] == 404
    assert (await get(server.admin_url("/audio-stream")))[0] == 404
    assert await get(server.admin_url("/healthz")) == (200, "alive\n")
    assert await get(server.admin_url("/readyz")) == (200, "ready\n")
