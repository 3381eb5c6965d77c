"""The ports of AudioSocket: refusals, what a reload may change, and mistakes of their configuration."""

import asyncio
import contextlib
import io
import json
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mediaserver import config
from mediaserver.audio.pcm import to_bytes
from mediaserver.cli import tables
from mediaserver.cli.findings import collect_findings
from mediaserver.routing.configuration import Configuration
from mediaserver.server.audiosocket.keepalive import enable_keepalive
from mediaserver.server.audiosocket.message_receiver import InboundRateLimit
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import Encapsulation
from tests.faults.beside import scrape, total
from tests.server.audiosocket.test_audiosocket import ended
from tests.server.plain_peer import CALL, HANGUP, SILENCE, UUID_MESSAGE, PlainPeer, dialled, message
from tests.server.process import ServerProcess, audiosocket_ports, launch, listen, serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, eventually

PATHS = """
[paths."/silence"]
handler = "silence"
[paths."/few"]
handler = "silence"
max_streams = 1
[paths."/elsewhere"]
handler = "silence"
allow = ["192.0.2.0/24"]
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
linger_ms = 0
"""


async def refused(server: ServerProcess, path: str, first: bytes = UUID_MESSAGE) -> None:
    """A peer is refused by an orderly hang-up, though it goes on sending."""
    async with dialled(server.ports[path], first) as peer, peer.talking():
        assert await peer.to_the_end() == HANGUP


async def refusals(server: ServerProcess) -> dict[str, float]:
    """The refusals so far, by reason."""
    lines = {key: value for key, value in (await scrape(server)).items() if "mediaserver_refusals_total" in key}
    return {key.split('"')[1]: value for key, value in lines.items() if value}


# -- who is refused --------------------------------------------------------------------------------


async def test_limits_of_streams_hold_by_server_by_path_and_by_peer(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, audiosocket_ports("/silence", "/few") + PATHS, max_streams=4, max_streams_per_peer=3
    )
    with serving(config) as server:
        async with contextlib.AsyncExitStack() as stack:

            async def call(path: str, host: str = "127.0.0.1") -> None:
                peer = await stack.enter_async_context(dialled(server.ports[path], local_addr=(host, 0)))
                await peer.hear(1)

            await call("/few")
            await refused(server, "/few")
            await call("/silence")
            await call("/silence")
            await refused(server, "/silence")
            await call("/silence", "127.0.0.2")
            await refused(server, "/silence")
            assert await refusals(server) == {"path-full": 1, "peer-full": 1, "full": 1}
            assert {line["path"] for line in server.events("refused")} == {"/few", "/silence"}
            numbers = await scrape(server)
            assert numbers["mediaserver_connections"] >= 4
            assert total(numbers, "mediaserver_sessions") == 4
        await eventually(lambda: len(server.events("stream ended")) == 4)
        async with dialled(server.ports["/few"]) as peer:
            await peer.hear(1)


async def test_networks(tmp_path: Path) -> None:
    """A peer of another network is refused before it sends a UUID."""
    paths = audiosocket_ports("/silence", "/elsewhere", allow=["127.0.0.1", "::1"]) + PATHS
    with serving(write_config(tmp_path, paths)) as server:
        async with dialled(server.ports["/silence"]) as peer:
            await peer.hear(1)
        for first in (b"", UUID_MESSAGE):
            await refused(server, "/elsewhere", first)
        async with dialled(server.ports["/silence"], b"", local_addr=("127.0.0.2", 0)) as peer:
            assert await peer.to_the_end() == HANGUP
        assert await refusals(server) == {"network": 3}
        assert {line["status"] for line in server.events("refused")} == {403}


@pytest.mark.parametrize(
    "first", [SILENCE, HANGUP, b"\x01\x00\x0f" + bytes(15), b"\x01\x01", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000]
)
async def test_something_else_than_a_uuid_comes_first(tmp_path: Path, first: bytes) -> None:
    with serving(write_config(tmp_path, audiosocket_ports("/silence") + PATHS)) as server:
        await refused(server, "/silence", first)
        assert await refusals(server) == {"malformed": 1}
        faults = (await scrape(server))['mediaserver_peer_faults_total{kind="malformed-request"}']
        assert faults == 1
        (line,) = server.events("refused")
        assert line["why"].startswith("the first message is not the stream's UUID")
        assert line["why"].endswith("HTTP is for server.port") is first.startswith(b"GET")


@pytest.mark.parametrize("first", [b"", UUID_MESSAGE[:-1]])
async def test_a_uuid_that_comes_too_late(tmp_path: Path, first: bytes) -> None:
    config = write_config(tmp_path, audiosocket_ports("/silence") + PATHS, handshake_timeout=0.6)
    with serving(config) as server:
        async with dialled(server.ports["/silence"], first) as peer:
            assert await peer.to_the_end() == HANGUP
        async with dialled(server.ports["/silence"]) as peer:
            await peer.hear(30)  # it has said what it had to
        assert await refusals(server) == {"slow-handshake": 1}
        faults = (await scrape(server))['mediaserver_peer_faults_total{kind="slow-handshake"}']
        assert faults == 1


async def test_a_peer_that_connects_and_leaves_is_no_fault(tmp_path: Path) -> None:
    with serving(write_config(tmp_path, audiosocket_ports("/silence") + PATHS)) as server:
        for first in (b"", UUID_MESSAGE[:7]):
            async with dialled(server.ports["/silence"], first) as peer:
                peer.writer.write_eof()
                assert await peer.to_the_end() == b""
        assert await refusals(server) == {}
        assert (await scrape(server))["mediaserver_connections"] <= 1


async def test_handshakes_of_all_ports_count_together(tmp_path: Path) -> None:
    paths = audiosocket_ports("/silence") + PATHS
    with serving(write_config(tmp_path, paths, handshake_rate=1)) as server:
        assert (await listen(server.url("/silence"), frames=1)).messages
        await refused(server, "/silence")
        assert await refusals(server) == {"busy": 1}


async def test_a_prompt_that_is_gone(tmp_path: Path) -> None:
    paths = audiosocket_ports("/play/a") + PATHS + '[prompts]\nwatch = "off"\n'
    write_wav(tmp_path / "prompts/a.wav", speechlike(1600))
    with serving(write_config(tmp_path, paths)) as server:
        (tmp_path / "prompts/a.wav").unlink()
        server.process.send_signal(signal.SIGHUP)
        await eventually(lambda: server.events("prompts reloaded"))
        await refused(server, "/play/a")
        assert await refusals(server) == {"unknown-prompt": 1}


# -- what changes while it runs --------------------------------------------------------------------


@contextlib.asynccontextmanager
async def reloaded(server: ServerProcess, directory: Path, paths: str, event: str) -> AsyncIterator[dict]:
    """The log line of the reload of a changed configuration."""
    before = len(server.events(event))
    write_config(directory, paths)
    server.process.send_signal(signal.SIGHUP)
    await eventually(lambda: len(server.events(event)) > before)
    yield server.events(event)[-1]


async def test_a_reload_may_change_the_path_of_a_port(tmp_path: Path) -> None:
    ports = audiosocket_ports("/silence", allow=["127.0.0.1"])
    sound = speechlike(1600)
    write_wav(tmp_path / "prompts/a.wav", sound)
    with serving(write_config(tmp_path, ports + PATHS)) as server:
        port = server.ports["/silence"]
        async with dialled(port) as before:
            await before.hear(5)
            changed = ports.replace("/silence", "/play/a?repeat=2") + PATHS
            async with reloaded(server, tmp_path, changed, "configuration reloaded"):
                async with dialled(port) as after:
                    assert await after.played() == 2 * to_bytes(sound)
                assert not any(await before.hear(5))  # it goes on as it began
            changed = ports.replace('"127.0.0.1"]', '"192.0.2.1"]') + PATHS
            async with reloaded(server, tmp_path, changed, "configuration reloaded"):
                await asyncio.sleep(0)
            async with dialled(port) as after:
                assert await after.to_the_end() == HANGUP


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("ports = { ", "ports = { 1 = '/few', "), ["audiosocket.ports: the set of ports cannot change"]),
        (('host = "127.0.0.1"\nports', 'host = "127.0.0.2"\nports'), ["audiosocket.host: cannot change"]),
        (('"/silence"', '"/silnce"'), ['no path /silnce (did you mean "/silence"?)']),
        (('"/silence"', '"/play/gone"'), ['no prompt "gone"']),
    ],
)
async def test_other_changes_of_ports_need_a_restart(
    tmp_path: Path, change: tuple[str, str], told: list[str]
) -> None:
    ports = audiosocket_ports("/silence")
    with serving(write_config(tmp_path, ports + PATHS)) as server:
        changed = ports.replace(*change) + PATHS
        assert changed != ports + PATHS
        async with reloaded(server, tmp_path, changed, "configuration rejected") as line:
            assert told[0] in line["why"]
            assert "audiosocket." in line["why"]
        async with dialled(server.ports["/silence"]) as peer:
            await peer.hear(5)


async def test_two_servers_may_share_a_port(tmp_path: Path) -> None:
    config = write_config(tmp_path, audiosocket_ports("/silence") + PATHS, reuse_port=True)
    with serving(config) as first:
        second = launch(config, tmp_path / "second.log")
        try:
            second.wait_for_event("listening")
            assert await asyncio.to_thread(first.stop) == 0
            async with dialled(first.ports["/silence"]) as peer:
                await peer.hear(5)
        finally:
            second.process.kill()
            second.process.wait()


# -- what a configuration says ---------------------------------------------------------------------

MISTAKES = """
[audiosocket]
ports = { 9000 = "/silnce", 9001 = "/guarded", 9002 = "silence", 9003 = "/silence?framing=pcm&rtp_payload=l16", \
9004 = "/play/nope", 9005 = "/silence?repeat=2", 9006 = "//silence", 9007 = "/silence", 9008 = "/play/a?repeat=x" }
[paths."/guarded"]
handler = "silence"
tokens = ["secret"]
"""


async def test_all_mistakes_are_reported_at_once_by_their_ports(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompts/a.wav", speechlike(1600))
    settings, problems = config.load(write_config(tmp_path, MISTAKES + PATHS))
    found = (await collect_findings(settings, "c", problems, lambda done, total: None)).problems
    not_a_path = "should be a path of this configuration, such as /audio-stream, perhaps with a query"
    assert found == [
        'c: audiosocket.ports.9000: no path /silnce (did you mean "/silence"?):'
        " there are /guarded, /silence, /few, /elsewhere, /play/{prompt}",
        'c: audiosocket.ports.9001: paths."/guarded" asks for a token, and AudioSocket carries none:'
        " set tokens = [] on that path, and audiosocket.allow",
        f"c: audiosocket.ports.9002: {not_a_path}",
        "c: audiosocket.ports.9003: framing and rtp_payload in the query:"
        " leave it out, as such a port always speaks AudioSocket",
        f"c: audiosocket.ports.9006: {not_a_path}",
        'c: audiosocket.ports.9004: no prompt "nope"',
        "c: audiosocket.ports.9005: repeat is not for /silence, which does not repeat anything",
        "c: audiosocket.ports.9008: repeat: should be a count of 1 to 1000000, or \"forever\" (it is 'x')",
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("ports = { 70000 = '/silence' }", "audiosocket.ports.70000: should be 65535 or less"),
        ("ports = { x = '/silence' }", "audiosocket.ports.x: should be a port, 1 to 65535"),
        ("ports = { 9000 = 1 }", "audiosocket.ports.9000: should be text, in quotes"),
        ("ports = { 0 = '/silence' }", "audiosocket.ports.0: should be a port, 1 to 65535"),
        ("ports = { '9_000' = '/silence', 9000 = '/silence' }", "audiosocket.ports.9_000: should be a port"),
        ("ports = { '09000' = '/silence', 9000 = '/silence' }", "audiosocket.ports.09000: should be a port"),
        ("port = 9000", 'audiosocket.port: unknown setting (did you mean "ports"?)'),
        ("allow = ['x']", "audiosocket.allow[0]: should be a network such as 10.0.0.0/8"),
    ],
)
def test_an_invalid_setting_is_reported(tmp_path: Path, table: str, told: str) -> None:
    _, problems = config.load(write_config(tmp_path, f"[audiosocket]\n{table}\n{PATHS}"))
    assert len(problems) == 1
    assert told in problems[0]


@pytest.mark.parametrize("nonsense", ["nonsense", '{ 9000 = "/silence" }', "9000:/silence"])
def test_a_variable_that_is_no_json_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nonsense: str
) -> None:
    monkeypatch.setenv("MEDIASERVER_AUDIOSOCKET__PORTS", nonsense)
    _, (problem,) = config.load(write_config(tmp_path, PATHS))
    assert problem.startswith("MEDIASERVER_AUDIOSOCKET__PORTS: should be JSON")
    assert '{"9000": "/audio-stream"}' in problem


def test_a_port_of_another_listener_is_a_mistake(tmp_path: Path) -> None:
    other = "[server]\nport = 9000\n[admin]\nport = 9001\n"
    table = '[audiosocket]\nports = { 9000 = "/silence", 9001 = "/silence", 9002 = "/silence" }\n'
    file = tmp_path / "own.toml"
    file.write_text(other + table + PATHS)
    settings, problems = config.load(file)
    assert Configuration.build(settings, "c", problems).problems == (
        "c: audiosocket.ports.9000: is server.port as well: choose another port",
        "c: audiosocket.ports.9001: is admin.port as well: choose another port",
    )


def test_a_mistake_of_a_path_is_not_repeated_for_its_port(tmp_path: Path) -> None:
    ports = '9000 = "/r", 9001 = "/x/1?repeat=2", 9002 = "bad", 9003 = "/bad", 9004 = "/late", 9005 = "/play/a"'
    paths = """
    [paths."/r"]
    handler = "rekord"
    [paths."/x/{n}"]
    framing = "pcm"
    [paths."bad"]
    handler = "silence"
    [paths."/late"]
    handler = "playback"
    linger_ms = "x"
    """
    file = write_config(tmp_path, f"[audiosocket]\nports = {{ {ports} }}\n{paths}{PATHS}")
    settings, problems = config.load(file)
    found = Configuration.build(settings, str(file), problems).problems
    assert [line.removeprefix(f"{file}: ").split(": ")[0] for line in found] == [
        'paths."/x/{n}"',
        'paths."/r".handler',
        'paths."bad"',
        'paths."/late"',
        'paths."/late"',
        "audiosocket.ports.9002",
    ]


def test_asterisk_s_name_of_a_codec_gets_a_hint(tmp_path: Path) -> None:
    _, problems = config.load(write_config(tmp_path, '[defaults]\ninbound = "ulaw"\n' + PATHS))
    assert len(problems) == 1
    assert "defaults.inbound: should be" in problems[0]
    assert '(did you mean "mulaw"?)' in problems[0]


def test_ports_may_be_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_AUDIOSOCKET__PORTS", '{"9000": "/silence"}')
    settings, problems = config.load(write_config(tmp_path, PATHS))
    assert (settings.audiosocket.ports, problems) == ({9000: "/silence"}, [])


def test_of_a_path_s_format_only_inbound_and_lead_apply_to_its_port(tmp_path: Path) -> None:
    ports = '[audiosocket]\nports = { 9000 = "/x" }\n'
    path = '[paths."/x"]\nhandler = "silence"\nencapsulation = "rtp"\ninbound = "alaw"\nlead = 3\n'
    settings, problems = config.load(write_config(tmp_path, ports + path))
    wire = Configuration.build(settings, "c", problems).ports[9000].wire
    assert (wire.encapsulation, wire.inbound, wire.lead) == (Encapsulation.AUDIOSOCKET, InboundCodec.ALAW, 3)


async def test_all_ports_in_use_are_reported_at_once(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        taken = [each.getsockname()[1] for each in sockets]
        ports = ", ".join(f'{port} = "/silence"' for port in taken[:2])
        table = f'[audiosocket]\nhost = "127.0.0.1"\nports = {{ {ports} }}\n'
        file = write_config(tmp_path, table + PATHS)
        admin = taken.pop()
        server = launch(file, tmp_path / "log", MEDIASERVER_ADMIN__PORT=str(admin))
        assert await asyncio.to_thread(server.process.wait, PATIENCE) == 2
    told = server.log_file.read_text().lower()
    assert f"admin.port: cannot listen on 127.0.0.1:{admin}: address already in use" in told
    for port in taken:
        assert f"audiosocket.ports.{port}: cannot listen on 127.0.0.1:{port}: address already in use" in told


async def test_check_lists_the_ports_beside_their_paths(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompts/a.wav", speechlike(1600))
    ports = '[audiosocket]\nports = { 9000 = "/silence", 9001 = "/play/a?repeat=2", 9002 = "/silence" }\n'
    settings, problems = config.load(write_config(tmp_path, ports + PATHS))
    findings = await collect_findings(settings, "c", problems, lambda done, total: None)
    assert findings.problems == []
    assert {path["path"]: path["audiosocket"] for path in findings.paths} == {
        "/silence": {"9000": "/silence", "9002": "/silence"},
        "/few": {},
        "/elsewhere": {},
        "/play/{prompt}": {"9001": "/play/a?repeat=2"},
    }
    assert json.loads(json.dumps(findings.paths)) == findings.paths
    shown = io.StringIO()
    out = Console(file=shown, width=200)
    tables.show_findings(findings, out, out)
    rows = [" ".join(line.replace("│", " ").replace("┃", " ").split()) for line in shown.getvalue().splitlines()]
    assert "path handler encapsulation AudioSocket ports access settings" in rows
    assert "/silence silence audiosocket 9000, 9002 open" in rows
    assert '/play/{prompt} playback audiosocket 9001 (/play/a?repeat=2) open prompt = "{prompt}"' in rows
    without = replace(findings, paths=[path | {"audiosocket": {}} for path in findings.paths])
    tables.show_findings(without, out, out)
    assert "path handler encapsulation access settings" in " ".join(shown.getvalue().replace("┃", " ").split())


# -- what a peer may send, and what the system asks it ---------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_inbound_rate_limit_counts_messages_or_frames_of_audio() -> None:
    clock = Clock()
    for kind, size, most in (
        (0x10, 323, 500),
        (0x10, 3, 500),
        (0x03, 4, 500),
        (0x12, 643, 500),
        (0x18, 7683, 500),
        (0x18, 3, 500),
        (0x10, 3400, 50),
        (0x12, 6430, 50),
        (0xFF, 34_000, 5),
    ):
        allowance = InboundRateLimit(500, clock)
        assert [allowance.allows(kind, size) for _ in range(most + 1)] == [True] * most + [False], (kind, size)


def test_the_inbound_rate_limit_is_for_each_second() -> None:
    clock = Clock()
    allowance = InboundRateLimit(500, clock)
    for _ in range(100):
        clock.now += 0.5
        assert all(allowance.allows(0x10, 323) for _ in range(250))
    clock.now += 0.5
    assert not all(allowance.allows(0x10, 323) for _ in range(1000))


async def test_tcp_keepalive_probes_an_idle_peer() -> None:
    async def options(interval: float) -> list[int]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        listening = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with listening:
            _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            enable_keepalive(writer.transport, interval)
            connection = writer.get_extra_info("socket")
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            told = [connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
            told += [connection.getsockopt(socket.IPPROTO_TCP, name) for name in names]
            writer.close()
            await writer.wait_closed()
        return told

    assert await options(20.0) == [1, 20, 5, 4]
    assert await options(0.5) == [1, 1, 1, 4]
    assert (await options(0))[0] == 0


async def test_a_uuid_s_own_bytes_are_the_call_s_name(tmp_path: Path) -> None:
    with serving(write_config(tmp_path, audiosocket_ports("/silence") + PATHS)) as server:
        async with dialled(server.ports["/silence"]) as peer:
            peer.say(message(0x01, bytes(16)))  # another one later changes nothing
            await peer.hear(5)
            peer.say(HANGUP)
            await peer.played()
        assert isinstance(peer, PlainPeer)
        assert (await ended(server, peer))["call"] == str(CALL)
        numbers = await scrape(server)
        assert numbers['mediaserver_events_total{type="stream.started"}'] == 1
        assert numbers['mediaserver_sessions_ended_total{path="/silence",reason="peer-hung-up"}'] == 1
