"""Access to a real server: tokens, signed links, networks, proxies, the admin port; and no secret in a log."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.server.preloaded import run
from tests.server.process import (
    UPGRADE,
    ServerProcess,
    get,
    launch,
    listen,
    refusal,
    serving,
    until_nobody_plays,
    write_config,
)
from tests.sound import speechlike, write_wav
from tests.timing import eventually

TOKEN, OLD, FROM_FILE, ADMIN = "t0ken-of-the-flow", "t0ken-before-it", "t0ken-in-a-file", "t0ken-of-the-operator"
PATHS = """
token = "env:ADMIN_TOKEN"
[defaults]
tokens = ["env:MEDIA_TOKEN", "{old}"]
[paths."/a"]
handler = "playback"
prompt = "a"
[paths."/play/{{prompt:.+}}"]
handler = "playback"
prompt = "{{prompt}}"
[paths."/filed"]
handler = "playback"
prompt = "a"
tokens = ["file:{file}"]
[paths."/open"]
handler = "playback"
prompt = "a"
tokens = []
[paths."/elsewhere"]
handler = "playback"
prompt = "a"
tokens = []
allow = ["198.51.100.0/24"]
[paths."/call/{{call_id}}"]
handler = "playback"
prompt = "a"
tokens = []
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("server")
    (directory / "token").write_text(FROM_FILE + "\n")
    paths = PATHS.format(old=OLD, file=directory / "token")
    config = write_config(directory, paths, trusted_proxies=["127.0.0.1"], max_streams_per_peer=2)
    write_wav(directory / "prompts/a.wav", speechlike(800))
    with serving(config, MEDIA_TOKEN=TOKEN, ADMIN_TOKEN=ADMIN) as server:
        yield server


async def status(server: ServerProcess, path: str, **headers: str) -> int:
    got, _ = (
        await get(server.url(path, "http"), headers=UPGRADE | headers)
        if headers
        else await refusal(server.url(path))
    )
    return got


async def hears(url: str, **options: Any) -> bool:
    async with aiohttp.ClientSession() as client, client.ws_connect(url, **options) as websocket:
        return len(await websocket.receive_bytes()) == 320


async def test_without_a_token_the_answer_is_401_and_says_how_to_send_one(server: ServerProcess) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(server.url("/a", "http"), headers=UPGRADE) as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer, Basic realm="media"'
        assert await response.text() == "needs a token: ?token=…, Authorization: Bearer, or a signed link\n"


async def test_each_way_to_send_a_token(server: ServerProcess) -> None:
    basic = base64.b64encode(f"voipbin:{TOKEN}".encode()).decode()
    for path, headers in (
        (f"/a?token={TOKEN}", {}),
        (f"/a?token={OLD}", {}),
        ("/a", {"Authorization": f"Bearer {TOKEN}"}),
        ("/a", {"Authorization": f"Basic {basic}"}),
        (f"/filed?token={FROM_FILE}", {}),
        ("/open", {}),
    ):
        await until_nobody_plays(server, headers={"Authorization": f"Bearer {ADMIN}"})  # else it were one too many
        assert await hears(server.url(path), headers=headers)


async def test_a_path_s_own_tokens_replace_the_defaults(server: ServerProcess) -> None:
    assert await status(server, f"/filed?token={TOKEN}") == 401
    assert await status(server, f"/a?token={FROM_FILE}") == 401


async def test_a_peer_without_access_learns_nothing_of_prompts(server: ServerProcess) -> None:
    assert await status(server, "/play/a") == await status(server, "/play/nope") == 401
    assert await status(server, f"/play/nope?token={TOKEN}") == 404
    assert (await refusal(server.url("/play")))[1] == "no path /play\n"  # and no hint at /play/{prompt}


def signed(server: ServerProcess, url: str, ttl: str) -> str:
    config = server.log_file.with_suffix(".toml")
    done = run("sign", url, "--ttl", ttl, "--config", config, MEDIA_TOKEN=TOKEN, ADMIN_TOKEN=ADMIN)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_signed_link_has_no_token_that_the_url_had(server: ServerProcess) -> None:
    link = signed(server, server.url("/play/a").replace("://", "://user:a-secret-word@"), "1h")
    assert link.startswith(server.url("/play/a?expires="))


async def test_a_signed_link_opens_one_path(server: ServerProcess) -> None:
    link = signed(server, server.url("/play/a?repeat=2"), "1h")
    assert TOKEN not in link
    assert (await listen(link)).close_code == 1000
    assert await status(server, "/a?" + link.partition("?")[2]) == 403
    assert await status(server, link.partition(str(server.port))[2].replace("repeat=2", "repeat=3")) == 403


async def test_networks_are_checked_by_the_address_from_a_trusted_proxy(server: ServerProcess) -> None:
    assert await status(server, "/elsewhere") == 403
    assert await status(server, "/elsewhere", **{"X-Forwarded-For": "203.0.113.9"}) == 403
    assert await status(server, "/elsewhere", **{"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}) == 403
    assert await hears(server.url("/elsewhere"), headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
    await eventually(lambda: [line for line in server.events("stream ended") if line["peer"] == "198.51.100.7"])


async def test_streams_of_one_address_are_counted_together(server: ServerProcess) -> None:
    url, headers = server.url("/play/a?repeat=forever&token=" + TOKEN), {"X-Forwarded-For": "192.0.2.77"}
    async with aiohttp.ClientSession(headers=headers) as client:
        async with client.ws_connect(url), client.ws_connect(url):
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await client.ws_connect(url)
            assert error.value.status == 503
            assert await hears(url, headers={"X-Forwarded-For": "192.0.2.78"})
        await eventually(lambda: len([e for e in server.events("stream ended") if e["peer"] == "192.0.2.77"]) == 2)
        assert await hears(url, headers=headers)


async def test_the_peer_s_own_id_of_a_call_is_in_the_log(server: ServerProcess) -> None:
    for path, headers, call in (
        ("/call/c-1", {}, "c-1"),
        ("/open?call_id=c-2", {}, "c-2"),
        ("/open", {"X-Call-ID": "c-3"}, "c-3"),
        ("/open?call=" + "x" * 300, {}, "x" * 128),
    ):
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(server.url(path), headers=headers) as websocket,
        ):
            async for _ in websocket:
                pass
        await eventually(lambda: call in [line.get("call") for line in server.events("stream ended")])  # noqa: B023


async def test_the_admin_port_asks_for_its_own_token(server: ServerProcess) -> None:
    for path in ("/metrics", "/v1/streams"):
        assert (await get(server.admin_url(path)))[0] == 401
        assert (await get(server.admin_url(f"{path}?token={ADMIN}")))[0] == 401  # a URL is logged too easily
        assert (await get(server.admin_url(path), headers={"Authorization": f"Bearer {TOKEN}"}))[0] == 401
        assert (await get(server.admin_url(path), headers={"Authorization": f"Bearer {ADMIN}"}))[0] == 200
    async with aiohttp.ClientSession() as client, client.post(server.admin_url("/v1/attach"), json={}) as response:
        assert response.status == 401
    assert (await get(server.admin_url("/healthz")))[0] == 200
    assert (await get(server.admin_url("/readyz")))[0] == 200


async def test_refusals_by_reason_and_no_secret_anywhere(server: ServerProcess) -> None:
    await status(server, "/a?token=wr0ng-t0ken")
    await status(server, "/elsewhere")
    await status(server, f"/a?encapsulation=x;token={TOKEN}&token={TOKEN}")
    await status(server, f"/a?expires=1{TOKEN}&sig={OLD}", Authorization=f"Basic {OLD}")
    link = signed(server, server.url("/a"), "1s")
    await status(server, "/a?" + link.partition("?")[2].replace("expires=1", "expires=2"))
    _, metrics = await get(server.admin_url("/metrics"), headers={"Authorization": f"Bearer {ADMIN}"})
    for reason, code in (("unauthorised", 401), ("signature", 403), ("network", 403), ("bad-query", 400)):
        assert f'mediaserver_refusals_total{{reason="{reason}",status="{code}"}}' in metrics
    text = server.log_file.read_text() + metrics
    for secret in (TOKEN, OLD, FROM_FILE, ADMIN, "wr0ng-t0ken", "sig=", link.rpartition("=")[2]):
        assert secret not in text
    assert not [line for line in server.log if line["level"] in ("error", "critical")]


@pytest.mark.parametrize(
    ("admin", "line"),
    [
        ('host = "0.0.0.0"', "admin: 0.0.0.0 can be reached from elsewhere: set a token, or open = true"),
        ('host = "media.internal"', "admin: media.internal can be reached from elsewhere"),
        (
            'host = "0.0.0.0"\ntoken = "env:N0T_THERE"',
            "admin.token: the environment variable N0T_THERE is not set",
        ),
    ],
)
def test_an_admin_port_open_to_all_is_a_mistake(tmp_path: Path, admin: str, line: str) -> None:
    config = write_config(tmp_path, f'{admin}\n[paths."/s"]\nhandler = "silence"')
    server = launch(config, config.with_suffix(".log"))
    assert server.process.wait() == 2
    assert line in server.log_file.read_text()


@pytest.mark.parametrize(
    "admin", ['host = "0.0.0.0"\nopen = true', 'host = "0.0.0.0"\ntoken = "x"', 'host = "::1"']
)
def test_with_an_explicit_setting_an_open_admin_port_is_allowed(tmp_path: Path, admin: str) -> None:
    with serving(write_config(tmp_path, f'{admin}\n[paths."/s"]\nhandler = "silence"')) as server:
        assert server.stop() == 0


def test_check_shows_the_access_of_each_path_and_no_token(tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        '[defaults]\ntokens = ["s3cret"]\n[paths."/s"]\nhandler = "silence"\ntokens = [""]\n'
        '[paths."/t"]\nhandler = "silence"\nallow = ["10.0.0.1/8"]\n'
        '[paths."/u"]\nhandler = "silence"\ntokens = ["env:N0T_THERE"]\n'
        '[paths."/v"]\nhandler = "silence"\nallow = ["10.0.0.0/8"]\n',
    )
    done = run("check", "--json", "--config", config)
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["problems"] == [
        f'{config}: paths."/s".tokens[0]: a token must not be empty',
        f'{config}: paths."/t".allow[0]: should be a network such as 10.0.0.0/8, or an address:'
        " 10.0.0.1/8 has host bits set (it is '10.0.0.1/8')",
        f'{config}: paths."/u": tokens[0]: the environment variable N0T_THERE is not set, or empty',
    ]
    assert [path["access"] for path in found["paths"]][2:] == ["tokens", "tokens and networks"]
    assert "s3cret" not in done.stdout + done.stderr
