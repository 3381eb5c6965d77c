"""The dashboard and the alerts against what a real server exposes: no name that is none, no metric unseen."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from mediaserver.call import EndReason
from mediaserver.events.kinds import FAILURES as FAILED_EVENTS
from tests.deploy.plain_yaml import documents
from tests.deploy.promql import Expression, Selector, parse
from tests.deploy.proxies import DEPLOY
from tests.server.process import connected, get, listen, refusal, serving, upgrade_request, write_config
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, UNIT

ALERTS_FILE = DEPLOY / "alerts.yaml"
DASHBOARD_FILE = DEPLOY / "grafana-dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(DASHBOARD_FILE.read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
(ALERTS,) = documents(ALERTS_FILE.read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
EXPRESSIONS = [target["expr"] for target in TARGETS] + [rule["expr"] for rule in RULES]

OF_PROMETHEUS = {"job", "instance"}  # labels that every metric has once it is scraped
SOURCES = "".join(file.read_text() for file in (DEPLOY.parent / "mediaserver").rglob("*.py"))
PATHS = """
[paths."/play/{prompt}"]
handler = "playback"
prompt = "{prompt}"
[paths."/silence"]
handler = "silence"
[paths."/listen"]
handler = "recognise"
engine = "vosk"
keywords = ["help"]
"""


@dataclass
class Exposed:
    """What a server tells Prometheus: names by family, and the labels of each name that has a sample."""

    families: dict[str, set[str]]
    labels: dict[str, set[str]]

    @property
    def names(self) -> set[str]:
        return {name for names in self.families.values() for name in names}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Exposed:
    config = write_config(tmp_path_factory.mktemp("server"), PATHS)
    write_wav(config.parent / "prompts/welcome.wav", speechlike(800))
    with serving(config) as server:
        asyncio.run(use(server.port))
        return read(asyncio.run(get(server.admin_url("/metrics")))[1])


async def use(port: int) -> None:
    """Labelled metrics show nothing before their first use."""
    base = f"ws://127.0.0.1:{port}"
    await listen(f"{base}/play/welcome")
    await refusal(f"{base}/play/nothing")
    async with connected(f"{base}/silence") as websocket:
        await websocket.send_str("audio is in binary messages")
        await websocket.receive_bytes(timeout=UNIT)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(upgrade_request("/silence") + b"\xff" * 16)  # no frame of RFC 6455
    with contextlib.suppress(ConnectionResetError):  # what the server did not read resets the connection
        await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        await writer.wait_closed()


def read(text: str) -> Exposed:
    """Prometheus' text format."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
    families = {name: {name + part for part in parts.get(kind, ("",))} for name, kind in kinds.items()}
    labels: dict[str, set[str]] = {}
    for name, some in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', some))
    return Exposed(families, labels)


def selectors() -> Iterator[tuple[str, Expression, Selector]]:
    for text in EXPRESSIONS:
        expression = parse(text)
        assert expression.selectors, text
        for selector in expression.selectors:
            yield text, expression, selector


# Prometheus has `up` and `ALERTS` itself.
METRICS = sorted({selector.metric for _, _, selector in selectors()} - {"up", "ALERTS"})


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_that_is_asked_for_exists(metric: str, exposed: Exposed) -> None:
    assert metric in exposed.names


@pytest.mark.parametrize("metric", METRICS)
def test_every_label_that_is_asked_for_exists(metric: str, exposed: Exposed) -> None:
    for text, expression, selector in selectors():
        if selector.metric == metric:
            asked = {label for label, _, _ in selector.matchers} | expression.groups
            assert asked <= exposed.labels.get(metric, set()) | OF_PROMETHEUS, text


def test_every_value_that_is_asked_for_exists() -> None:
    """A reason of an end is one of the enum; every other value is at least a word of the server's."""
    for text, _, selector in selectors():
        for label, sign, value in selector.matchers:
            wanted = value.split("|") if sign.endswith("~") else [value]
            if (selector.metric, label) == ("mediaserver_sessions_ended_total", "reason"):
                assert set(wanted) <= set(EndReason), text
            elif label not in OF_PROMETHEUS and selector.metric != "ALERTS":
                assert [word for word in wanted if f'"{word}"' not in SOURCES] == [], text


def test_every_metric_of_ours_is_on_the_dashboard(exposed: Exposed) -> None:
    shown = {selector.metric for target in TARGETS for selector in parse(target["expr"]).selectors}
    ours = {family: names for family, names in exposed.families.items() if family.startswith("mediaserver_")}
    assert sorted(family for family, names in ours.items() if not names & shown) == []


FAILURES = [
    ("mediaserver_events_total", "type", "recording.failed"),
    ("mediaserver_events_total", "type", "transcript.failed"),
    ("mediaserver_events_total", "type", "report.failed"),
    ("mediaserver_inbound_problems_total", "problem", "no-audio"),
    ("mediaserver_events_total", "type", "speech.failed"),
    ("mediaserver_events_total", "type", "assistant.failed"),
    ("mediaserver_events_total", "type", "bridge.lost"),
    ("mediaserver_events_total", "type", "bridge.failed"),
    ("mediaserver_events_total", "type", "webhook.failed"),
    ("mediaserver_recognitions_total", "result", "failed"),
    ("mediaserver_recognitions_total", "result", "dropped"),
    ("mediaserver_webhooks_total", "result", "failed"),
    ("mediaserver_webhooks_total", "result", "dropped"),
    ("mediaserver_sessions_ended_total", "reason", "error"),
]


@pytest.mark.parametrize(("metric", "label", "value"), FAILURES)
def test_what_fails_for_callers_has_an_alert(metric: str, label: str, value: str) -> None:
    alerting = {
        word
        for rule in RULES
        for selector in parse(rule["expr"]).selectors
        if selector.metric == metric
        for name, _, values in selector.matchers
        if name == label
        for word in values.split("|")
    }
    assert value in alerting


def test_the_alerts_are_of_the_job() -> None:
    for rule in RULES:
        for selector in parse(rule["expr"]).selectors:
            assert ("job", "=", "mediaserver") in selector.matchers, rule["alert"]


def test_the_alerts_say_what_is_wrong_and_what_to_do() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}, rule["alert"]
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}
        told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        groups = parse(rule["expr"]).groups
        assert told <= (groups or OF_PROMETHEUS), rule["alert"]


def assert_prometheus_reads(rules: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine")
    done = subprocess.run(
        [promtool, "check", "rules", rules], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_the_alerts() -> None:
    assert_prometheus_reads(ALERTS_FILE)


def test_prometheus_reads_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": target["expr"].replace("$__rate_interval", "1m")}
        for number, target in enumerate(TARGETS)
    ]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert_prometheus_reads(file)


def test_the_dashboard_can_be_imported() -> None:
    (source,) = DASHBOARD["__inputs"]
    assert (source["type"], source["pluginId"]) == ("datasource", "prometheus")
    used = {"type": "prometheus", "uid": f"${{{source['name']}}}"}
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert set(variables) == {source["name"], "job", "instance"}
    assert variables[source["name"]]["type"] == "datasource"  # where it is provisioned, and not imported
    assert all(thing["datasource"] == used for thing in [*PANELS, *TARGETS, variables["job"]])
    assert {panel["type"] for panel in PANELS} <= {plugin["id"] for plugin in DASHBOARD["__requires"]}


def test_every_panel_explains_itself() -> None:
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"])
def test_legends_name_labels_that_are_left(target: dict[str, Any]) -> None:
    expression = parse(target["expr"])
    told = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    aggregated = bool(re.search(r"\b(sum|count|min|histogram_quantile)\b", target["expr"]))
    assert told <= (expression.groups - {"le"} if aggregated else OF_PROMETHEUS)
    assert aggregated or told, "several servers would have one name"


def test_a_stat_is_not_green_where_something_is_wrong() -> None:
    """Without thresholds of its own, Grafana shows 0 servers that are ready in green."""

    def colour(title: str, value: float) -> str:
        (panel,) = (panel for panel in PANELS if panel["title"] == title)
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        return str([step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1])

    assert [colour("Servers ready", share) for share in (0, 0.5, 1)] == ["red", "red", "green"]
    assert [colour("Capacity used", share) for share in (0, 0.79, 0.8, 1)] == ["green", "green", "orange", "red"]
    assert [colour("Frames late, p99", seconds) for seconds in (0.001, 0.01, 0.02)] == ["green", "orange", "red"]
    for title in ("Callers refused", "Alerts firing"):
        assert [colour(title, count) for count in (0, 1, 100)] == ["green", "red", "red"]


def test_a_version_is_shown_and_not_how_many_servers_have_it() -> None:
    """With one series, Grafana shows its value alone, which is 1."""
    (panel,) = (panel for panel in PANELS if panel["title"] == "Version")
    assert panel["options"]["textMode"] == "name"


def test_a_value_without_one_beside_it_is_seen() -> None:
    """Of a line, Grafana shows two values or more. What is filtered, and quantiles of what is rare, may be one."""
    rare = ("speech_wait", "first_audio", "recognition_seconds", "decode_seconds")
    for panel in PANELS:
        if panel["type"] == "timeseries":
            custom = panel["fieldConfig"]["defaults"]["custom"]
            expressions = " ".join(target["expr"] for target in panel["targets"])
            if " > 0" in expressions.replace("> 0) - time()", "") or any(name in expressions for name in rare):
                assert custom["drawStyle"] == "bars" or custom["showPoints"] == "auto", panel["title"]


def test_the_failures_at_the_top_are_all_that_events_tell_of() -> None:
    (panel,) = (panel for panel in PANELS if panel["title"] == "Failures")
    first = parse(panel["targets"][0]["expr"]).selectors[0]
    (types,) = (value for label, _, value in first.matchers if label == "type")
    assert types.split("|") == list(FAILED_EVENTS)


def test_every_expression_of_the_dashboard_keeps_to_what_is_chosen() -> None:
    chosen = {("job", "=~", "$job"), ("instance", "=~", "$instance")}
    for target in TARGETS:
        for selector in parse(target["expr"]).selectors:
            assert chosen <= set(selector.matchers), target["expr"]


def test_no_two_panels_are_in_one_place() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identifiers) == len(set(identifiers))


def test_the_dashboard_is_written_in_one_form() -> None:
    assert DASHBOARD_FILE.read_text() == json.dumps(DASHBOARD, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("text", "selected", "groups"),
    [
        ("up == 0", [Selector("up")], set()),
        ('rate(a_total{b="c",d=~"e|f"}[5m])', [Selector("a_total", (("b", "=", "c"), ("d", "=~", "e|f")))], set()),
        ("sum by (x, y) (rate(a{}[$__rate_interval])) > 2e3", [Selector("a")], {"x", "y"}),
        ("sum(a) without (z) / on (i) b offset 5m", [Selector("a"), Selector("b")], {"z", "i"}),
        (
            "histogram_quantile(0.99, a_bucket) and b unless c",
            [Selector(n) for n in ("a_bucket", "b", "c")],
            set(),
        ),
    ],
)
def test_expressions_are_read_right(text: str, selected: list[Selector], groups: set[str]) -> None:
    assert parse(text) == Expression(tuple(selected), frozenset(groups))


@pytest.mark.parametrize("text", ["a & b", "a{b='c'}", 'a{b=="c"}', 'a{b="c" d="e"}', "a{b"])
def test_what_is_no_expression_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"not|tuple"):
        parse(text)
