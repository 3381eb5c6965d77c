"""`mediaserver flow` as users run it: what it prints, what it asks the platform, and what it says of mistakes."""

import asyncio
import json
import socket
import subprocess
from pathlib import Path

import pytest
from aiohttp import web

from tests.client.flows.flow_service import FlowService
from tests.server.preloaded import run
from tests.server.process import write_config

PATHS = """
[audiosocket]
ports = { 9123 = "/menu", 9124 = "/nowhere" }
[paths."/menu"]
handler = "silence"
[paths."/locked"]
handler = "silence"
tokens = ["s3cret"]
encapsulation = "rtp"
"""
FLOWS = """
[flows]
public_url = "https://voice.example.org/flow/"
secret = "env:FLOW_SECRET"
media_host = "voice.example.org"
media_ports = "9200-9201"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, PATHS.replace(', 9124 = "/nowhere"', ""))


def test_a_path_with_a_port_is_dialled_by_tcp(config: Path) -> None:
    done = run("flow", "/menu", "--server", "wss://voice.example.org", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    flow = json.loads(done.stdout)
    assert flow.keys() == {"name", "detail", "actions"}
    assert flow["name"] == "mediaserver /menu"
    assert flow["actions"][1]["option"]["external_host"] == "voice.example.org:9123"


def test_another_path_is_dialled_by_websocket_with_a_note(config: Path) -> None:
    done = run("flow", "/locked?a=1", "--server", "ws://10.0.0.1:8080/", "--config", config)
    assert done.returncode == 0
    option = json.loads(done.stdout)["actions"][1]["option"]
    assert option == {"url": "ws://10.0.0.1:8080/locked?a=1", "encapsulation": "rtp"}
    assert json.loads(done.stdout)["name"] == "mediaserver /locked"
    ignored, sign = done.stderr.splitlines()
    assert ignored.startswith("VoIPBIN's public code ignores url")
    assert "mediaserver sign makes a link" in sign
    assert "s3cret" not in done.stdout + done.stderr


def test_a_name_that_stands_for_the_server_is_told_of(config: Path) -> None:
    done = run("flow", "/menu", "--config", config)
    assert done.stderr == "media.example.com stands for this server: give --server\n"


def test_the_flow_by_fetch_has_one_action(config: Path) -> None:
    url = "https://voice.example.org/flow/s3cret/menu"
    done = run("flow", "/menu", "--fetch-url", url, "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    (action,) = json.loads(done.stdout)["actions"]
    assert action == {"type": "fetch", "option": {"event_url": url, "event_method": "POST"}}


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose path takes flows, and has a port as well."""
    monkeypatch.setenv("FLOW_SECRET", "s3c/ret")
    path = PATHS.replace(', 9124 = "/nowhere"', "").replace('"silence"', '"silence"\nflow = true', 1)
    return write_config(tmp_path, FLOWS + path)


def test_a_path_for_flows_is_fetched_from_the_server(flows: Path) -> None:
    """The query is as it was given: VoIPBIN fills its variables in."""
    done = run("flow", "/menu?from=${voipbin.call.source.target}", "--config", flows)
    assert (done.returncode, done.stderr) == (0, "")
    url = "https://voice.example.org/flow/s3c%2Fret/menu?from=${voipbin.call.source.target}"
    assert json.loads(done.stdout)["actions"] == [
        {"type": "fetch", "option": {"event_url": url, "event_method": "POST"}}
    ]


def test_a_named_server_has_media_started_all_the_same(flows: Path) -> None:
    done = run("flow", "/menu", "--server", "wss://voice.example.org", "--config", flows)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["actions"][1]["option"]["external_host"] == "voice.example.org:9123"


async def test_a_flow_by_fetch_is_created_and_its_secret_is_not_shown(
    flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIASERVER_VOIPBIN__TOKEN", "t0ken")
    async with FlowService() as service:
        monkeypatch.setenv("MEDIASERVER_VOIPBIN__API", service.api)
        done = await asyncio.to_thread(run, "flow", "/menu", "--create", "--config", flows)
        assert done.returncode == 0
        ((flow, stored),) = service.flows.items()
        url = stored["actions"][0]["option"]["event_url"]
        assert url == "https://voice.example.org/flow/s3c%2Fret/menu"
        assert done.stdout == f"created the flow mediaserver /menu: {flow}\n"
        service.answer = web.Response(status=400, text=f'{{"message": "{url} is no URL"}}')
        refused = await asyncio.to_thread(run, "flow", "/menu", "--create", "--config", flows)
    assert refused.returncode == 1
    assert refused.stderr.startswith("refused with 400: check the flow (")
    assert "s3c" not in done.stderr + refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("/meno",), 'config.toml: no path /meno (did you mean "/menu"?)\n'),
        (("menu",), "menu should be a path of the configuration: it begins with /"),
        (("/menu", "--server", "media.example.com"), "--server should be ws://host or wss://host"),
        (("/menu", "--fetch-url", "here"), "--fetch-url should begin with http:// or https://"),
    ],
)
def test_mistakes_are_told(arguments: tuple[str, ...], why: str, config: Path) -> None:
    done = run("flow", *arguments, "--config", config)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr


def test_a_wrong_configuration_is_told(tmp_path: Path) -> None:
    done = run("flow", "/menu", "--config", write_config(tmp_path, PATHS))
    assert done.returncode == 2
    assert "audiosocket.ports.9124" in done.stderr


def test_addresses_are_probed(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        done = run("flow", "/locked", "--server", f"ws://127.0.0.1:{port}", "--probe", "--config", config)
        assert done.returncode == 0
        assert done.stderr.startswith(f"127.0.0.1:{port}: reached from here in ")
    done = run("flow", "/locked", "--server", "ws://127.0.0.1:1", "--probe", "--config", config)
    assert done.returncode == 1
    assert json.loads(done.stdout)
    assert done.stderr.splitlines()[-1] == "127.0.0.1:1: cannot be reached: Connection refused"


async def test_a_flow_is_created_and_updated_at_the_platform(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(token: str, *options: str) -> "subprocess.CompletedProcess[str]":
        monkeypatch.setenv("MEDIASERVER_VOIPBIN__TOKEN", token)
        return await asyncio.to_thread(run, "flow", "/menu", "--create", *options, "--config", config)

    async with FlowService() as service:
        monkeypatch.setenv("MEDIASERVER_VOIPBIN__API", service.api)
        for what in ("created", "updated"):
            done = await create("t0ken", "--name", "Main menu")
            (flow,) = service.flows
            assert (done.returncode, done.stdout) == (0, f"{what} the flow Main menu: {flow}\n")
        assert service.flows[flow]["name"] == "Main menu"
        assert service.flows[flow]["actions"][1]["option"]["external_host"] == "media.example.com:9123"
        wrong = await create("wr0ng")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("refused with 401: the token is not accepted")
    assert "wr0ng" not in wrong.stderr
    without = await create("")
    assert without.returncode == 2
    assert "set voipbin.token or voipbin.access_key" in without.stderr


SPOKEN = """
[paths."/balance/{account}"]
handler = "say"
text = "{account:digits} has {amount:currency:EUR}."
[speech]
engine = "command"
[speech.command]
program = ["true"]
"""


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/balance/4711", "calls of /balance/4711 are refused: no value for {amount}: add ?amount=… to the URL"),
        ("/balance/4711?amount=x", "calls of /balance/4711 are refused: {amount} cannot be spoken as currency: "),
        ("/balance/4711?amount=12.50", ""),
        ("/balance/${account}?amount=${amount}", ""),  # VoIPBIN fills the values in
    ],
)
@pytest.mark.parametrize("by_flow", [False, True])
def test_a_flow_whose_calls_would_be_refused_is_printed_with_the_reason(
    tmp_path: Path, path: str, why: str, by_flow: bool
) -> None:
    text = FLOWS.replace("env:FLOW_SECRET", "s3cret") + SPOKEN.replace('"say"', '"say"\nflow = true')
    done = run("flow", path, "--config", write_config(tmp_path, text if by_flow else SPOKEN))
    assert done.returncode == 0
    assert path in done.stdout
    refusals = [line for line in done.stderr.splitlines() if "refused" in line]
    assert [line.startswith(why) for line in refusals] == [True] * bool(why)


def test_a_flow_may_use_the_variable_that_flows_bring(tmp_path: Path) -> None:
    text = FLOWS.replace("env:FLOW_SECRET", "s3cret") + SPOKEN.replace('"say"', '"say"\nflow = true')
    text = text.replace("{amount:currency:EUR}", "{activeflow_id}")
    assert run("flow", "/balance/1", "--config", write_config(tmp_path, text)).stderr == ""
