"""IVRs by the flow endpoint, tried with `mediaserver simulate`: its flow engine, real HTTP, and real media."""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.client.flows.actions import parse_flow
from mediaserver.client.flows.call import FlowCall, FlowPlan, Observer
from mediaserver.client.flows.engine import ExecutedAction
from mediaserver.client.flows.report import FlowReport
from mediaserver.wire.voipbin import actions
from tests.server.flows.test_flows import flows, free_ports, nothing_is_left
from tests.server.preloaded import run
from tests.server.process import ServerProcess, client_session, serving, write_config
from tests.sound import read_wav, speechlike, write_wav
from tests.timing import PATIENCE, eventually

MAX_ACTIONS = 50
SALES = "30000000-0000-4000-8000-000000000000"
PROMPTS = {name: speechlike(160 * 15, seed) for seed, name in enumerate(("main", "sales", "pin", "bye"), 1)}
LONG = speechlike(160 * 500, 9)
PATHS = f"""
[paths."/menu"]
handler = "menu"
flow = true
on_exhausted = {{ actions = [{{ type = "talk", option = {{ text = "Bye" }} }}, {{ type = "hangup" }}] }}
[paths."/menu".menus.main]
play = "main"
keys.1 = {{ menu = "sales" }}
keys.2 = {{ play = "bye", transfer = "queue:{SALES}" }}
keys.3 = {{ transfer = "conference:{SALES}" }}
keys.4 = {{ transfer = "agent:{SALES}" }}
keys.8 = {{ menu = "long" }}
keys.9 = {{ play = "bye", hangup = true }}
[paths."/menu".menus.sales]
play = "sales"
keys.1 = {{ menu = "pin" }}
[paths."/menu".menus.pin]
play = "pin"
collect = {{ min = 4, max = 4 }}
then = {{ play = "bye", transfer = "+49 30 123456" }}
[paths."/menu".menus.long]
play = "long"
keys.2 = {{ play = "bye", hangup = true }}
[paths."/voicemail"]
handler = "record"
flow = true
directory = "DIRECTORY"
file = "{{call}}.wav"
finish_on = "#"
then = "hangup"
[paths."/digits/{{name}}"]
handler = "digits:Digits"
name = "{{name}}"
flow = true
"""
DIGITS = """
from mediaserver.handlers import Handler

class Digits(Handler):
    name: str

    async def run(self, call):
        collected = await call.collect_digits(6, timeout=60, interdigit=60)
        call.transfer(f"tel:+49{self.name}{collected.digits}")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("flows")
    (directory / "digits.py").write_text(DIGITS)
    port = free_ports(1)
    own = flows(10, port=port, public_url=f"http://127.0.0.1:{port}/flow", poll=0.5, max_actions=MAX_ACTIONS)
    config = write_config(directory, own + PATHS.replace("DIRECTORY", str(directory / "voicemail")))
    for name, samples in (*PROMPTS.items(), ("long", LONG)):
        write_wav(directory / f"prompts/{name}.wav", samples)
    with serving(config, PYTHONPATH=str(directory)) as server:
        server.config = config  # type: ignore[attr-defined]
        yield server


def flow_of(server: ServerProcess, path: str) -> list[dict[str, Any]]:
    """The actions that `mediaserver flow` prints for a path."""
    done = run("flow", path, "--config", server.config, PYTHONPATH=str(server.config.parent))  # type: ignore[attr-defined]
    assert (done.returncode, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)["actions"]
    return found


class Caller:
    """`async with Caller(actions) as caller`: a call at the simulated platform, whose flow has these actions."""

    def __init__(self, flow: list[dict[str, Any]]) -> None:
        self.heard = bytearray()  # PCM that the caller hears
        self.on_fetch: list[str] = []  # keys to press while fetches are answered, for one fetch each
        self.call = FlowCall(
            FlowPlan(parse_flow(json.dumps(flow)), bridged=0.05),
            Observer(on_action=self._on_action, on_frame=lambda pcm, at: self.heard.extend(pcm)),
        )
        self._hang_up = asyncio.Event()
        self._running: asyncio.Task[FlowReport] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.call.run(self._hang_up))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hang_up.set()
        await self.report()

    async def report(self) -> FlowReport:
        """Wait for the end of the call. Nothing may have been wrong with the flow."""
        assert self._running is not None
        report = await asyncio.wait_for(asyncio.shield(self._running), PATIENCE)
        assert [entry.note for entry in report.log if entry.is_problem] == []
        return report

    async def hears(self, *names: str) -> None:
        """Wait until these prompts were heard, whole, sample by sample, one after another."""
        begin = 0
        for name in names:
            pcm = to_bytes(PROMPTS[name])
            await eventually(partial(self._has_heard, pcm, begin))
            begin = self.heard.find(pcm, begin) + len(pcm)

    def _has_heard(self, pcm: bytes, begin: int) -> bool:
        return self.heard.find(pcm, begin) >= 0

    async def is_answered(self, visits: int) -> None:
        """Wait until the flow has been with the server so many times, and something is heard since."""
        await eventually(lambda: self.executed("answer") >= visits)
        begin = len(self.heard)
        await eventually(lambda: any(self.heard[begin:]))

    def executed(self, kind: str) -> int:
        """How many actions of this type were executed so far."""
        return sum(entry.action.type == kind for entry in self.call.log)

    def press(self, keys: str) -> None:
        for key in keys:
            self.call.press(key)

    def _on_action(self, entry: ExecutedAction) -> None:
        if entry.action.type == "fetch" and "flow_round" in entry.action.text("event_url") and self.on_fetch:
            asyncio.get_running_loop().call_soon(self._press_during, entry, self.on_fetch.pop(0))

    def _press_during(self, entry: ExecutedAction, keys: str) -> None:
        assert entry.ended is None, "the fetch was answered before the keys were pressed"
        self.press(keys)


def led_to(report: FlowReport) -> tuple[str, dict[str, Any]]:
    """The last action that was executed."""
    return report.log[-1].action.type, report.log[-1].action.option


async def test_three_menus_deep_by_keys_alone(server: ServerProcess) -> None:
    async with Caller(flow_of(server, "/menu")) as caller:
        await caller.hears("main")
        caller.press("1")
        await caller.hears("main", "sales")
        caller.press("1")
        await caller.hears("main", "sales", "pin")
        caller.press("4711")
        report = await caller.report()
        await caller.hears("main", "sales", "pin", "bye")
    assert [entry.action.type for entry in report.log[:4]] == [
        "fetch",
        "answer",
        "external_media_start",
        "variable_set",
    ]
    assert {entry.action.type for entry in report.log[4:-1]} == {"digits_receive", "fetch"}
    assert led_to(report) == (
        "connect",
        {
            "source": {"type": "tel", "target": "+4930999"},
            "destinations": [{"type": "tel", "target": "+4930123456"}],
        },
    )
    assert len(report.media) == 1
    await nothing_is_left(server)


async def test_a_key_stops_a_prompt_at_once(server: ServerProcess) -> None:
    async with Caller(flow_of(server, "/menu")) as caller:
        await caller.hears("main")
        caller.press("8")
        beginning = to_bytes(LONG[: 160 * 10])
        await eventually(lambda: beginning in caller.heard)
        caller.press("2")
        report = await caller.report()
        await caller.hears("main", "bye")
    assert led_to(report) == ("hangup", {})
    assert report.ended == "the flow hung up"
    begin = caller.heard.find(beginning)
    assert to_bytes(LONG) not in caller.heard
    assert begin < caller.heard.find(to_bytes(PROMPTS["bye"])) < begin + 2 * len(LONG)


@pytest.mark.parametrize(
    ("key", "type_", "option", "ended"),
    [
        ("2", "queue_join", {"queue_id": SALES}, "the flow has no more actions"),
        ("3", "conference_join", {"conference_id": SALES}, "the flow has no more actions"),
        (
            "4",
            "connect",
            {
                "source": {"type": "tel", "target": "+4930999"},
                "destinations": [{"type": "agent", "target": SALES}],
            },
            "the flow has no more actions",
        ),
        ("9", "hangup", {}, "the flow hung up"),
    ],
)
async def test_where_a_key_leads(
    server: ServerProcess, key: str, type_: str, option: dict[str, Any], ended: str
) -> None:
    url = f"{server_url(server)}/menu"
    async with Caller([actions.fetch(url)]) as caller:
        await eventually(lambda: any(caller.heard))
        caller.press(key)
        report = await caller.report()
    assert (led_to(report), report.ended) == ((type_, option), ended)
    assert (to_bytes(PROMPTS["bye"]) in caller.heard) == (
        key in "29"
    )  # heard to its end before the call is led on
    await nothing_is_left(server)


def server_url(server: ServerProcess) -> str:
    """How VoIPBIN reaches the flow endpoint, with the secret."""
    return f"http://127.0.0.1:{server.events('listening')[0]['flows']}/flow/s3cr%2Fet"


async def test_keys_that_are_pressed_while_a_fetch_is_answered_are_not_lost(server: ServerProcess) -> None:
    async with Caller([actions.fetch(f"{server_url(server)}/digits/30")]) as caller:
        await eventually(lambda: caller.executed("digits_receive"))
        caller.on_fetch = ["2", "34", "56"]
        caller.press("1")
        report = await caller.report()
    assert led_to(report)[1]["destinations"] == [{"type": "tel", "target": "+4930123456"}]


async def test_voicemail_keeps_what_was_said(server: ServerProcess) -> None:
    said = to_bytes(speechlike(160 * 20, 8))

    async def received() -> int:
        async with client_session() as client, client.get(server.admin_url("/v1/streams")) as response:
            streams = (await response.json())["streams"]
        return int(streams[0]["received"]) if streams else 0

    async def receives(frames: int) -> None:
        while await received() < frames:
            await asyncio.sleep(0.02)

    async with Caller([actions.fetch(f"{server_url(server)}/voicemail")]) as caller:
        await receives(1)
        caller.call.speak(said)
        await receives(await received() + 40)
        caller.press("#")
        report = await caller.report()
    assert (led_to(report), report.ended) == (("hangup", {}), "the flow hung up")
    folder: Path = server.config.parent / "voicemail"  # type: ignore[attr-defined]
    (file,) = folder.iterdir()
    assert said in to_bytes(read_wav(file))
    await nothing_is_left(server)


async def test_a_caller_who_hangs_up_leaves_nothing(server: ServerProcess) -> None:
    async with Caller([actions.fetch(f"{server_url(server)}/menu")]) as caller:
        await caller.hears("main")
    assert (await caller.report()).ended == "the caller hung up"
    await nothing_is_left(server)


async def test_a_flow_that_comes_once_more_has_the_actions_it_has_left(server: ServerProcess) -> None:
    """A transfer that nobody answers leads back to the menu by a `goto`, until the actions are used up."""
    first = "00000000-0000-4000-8000-000000000001"
    loop = actions.make_action("goto", target_id=first, loop_count=20)
    async with Caller([{"id": first, **actions.fetch(f"{server_url(server)}/menu")}, loop]) as caller:
        for visits in range(1, 6):
            await caller.is_answered(visits)
            caller.press("3")
        report = await caller.report()  # no key is pressed any more
    assert report.ended == "the flow hung up"
    assert caller.executed("talk") or server.events("flow failed")[-1]["reason"] == "exhausted"
    assert 2 <= caller.executed("conference_join") <= 5
    counted = len(report.log) + caller.executed("conference_join") - caller.executed("goto")
    assert counted <= MAX_ACTIONS + 2  # the last `goto` leads to one more `fetch`, and its answer hangs up
    await nothing_is_left(server)


def test_what_flow_prints_is_what_simulate_executes(server: ServerProcess, tmp_path: Path) -> None:
    flow = tmp_path / "flow.json"
    flow.write_text(json.dumps({"actions": flow_of(server, "/menu")}))
    done = run("simulate", flow, "--digits", "114711", "--after", 0.2, "--bridged", 0, "--json")
    report = json.loads(done.stdout)
    assert report["actions"][-1]["type"] == "connect"
    assert report["ended"] == "the flow has no more actions"
    assert "s3cr" not in done.stdout + done.stderr + server.log_file.read_text()
