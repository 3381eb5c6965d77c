"""Variables in URLs: each stays in its place there, or the call is refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from mediaserver import config
from mediaserver.call import Call
from mediaserver.call.stream import Stream
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers import Handler
from mediaserver.routing.configuration import Configuration
from mediaserver.routing.filling import UnsafeVariableError, fill_variables
from tests.handlers.test_handlers import library_of
from tests.server.process import write_config

NONE = frozenset[str]()


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("sales", "wss://h/public/sales/x?to=sales#sales"),
        ("a/b", "wss://h/public/a%2Fb/x?to=a%2Fb#a%2Fb"),
        (
            "?#@:\\&=%",
            "wss://h/public/%3F%23%40%3A%5C%26%3D%25/x?to=%3F%23%40%3A%5C%26%3D%25#%3F%23%40%3A%5C%26%3D%25",
        ),
        ("\0\r\n\x7f ", "wss://h/public/%00%0D%0A%7F%20/x?to=%00%0D%0A%7F%20#%00%0D%0A%7F%20"),
        ("...", "wss://h/public/.../x?to=...#..."),
    ],
)
def test_a_value_stays_within_its_segment_of_a_url(value: str, filled: str) -> None:
    assert fill_variables("wss://h/public/{x}/x?to={x}#{x}", {"x": value}, NONE) == filled


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "../../admin",
        r"a\..\b",
        "..;x",
        "..\0",
        "\t..",
        "a/%2e%2e/b",
    ],
)
def test_a_value_that_leads_elsewhere_is_refused(value: str) -> None:
    with pytest.raises(UnsafeVariableError, match=r"in place of {x}: no segment of a path may be empty there"):
        fill_variables({"a": ["wss://h/public/{x}/x"]}, {"x": value}, NONE)
    assert str(fill_variables("wss://h/public/x?to={x}", {"x": value}, NONE)).startswith("wss://h/public/x?to=")


@pytest.mark.parametrize(
    ("url", "variables"), [("ws://h/.{x}", {"x": "."}), ("ws://h/{x}{y}", {"x": ".", "y": "."})]
)
def test_dots_do_not_come_together_in_a_segment(url: str, variables: dict[str, str]) -> None:
    with pytest.raises(UnsafeVariableError):
        fill_variables(url, variables, NONE)


@pytest.mark.parametrize(
    ("setting", "value"), [("{x}", "ws://evil/"), ("ws:/{x}", "/evil"), ("w{x}", "s://evil"), ("ws:{x}", "//evil")]
)
def test_no_value_makes_a_url_of_a_text_that_is_none(setting: str, value: str) -> None:
    with pytest.raises(UnsafeVariableError, match="a value may not be a URL there"):
        fill_variables(setting, {"x": value}, NONE)


class Own(Handler):
    """A handler of a user's own, with a URL that is no more than text to us."""

    url: str
    more: dict[str, list[str]] = Field(default_factory=dict)

    async def run(self, call: Call) -> None:
        raise NotImplementedError


def build(directory: Path, settings: str) -> Configuration:
    path = write_config(directory, f'[paths."/bot/{{a}}/{{b}}"]\n{settings}')
    return Configuration.build(*_loaded(path))


def _loaded(path: Path) -> Any:
    settings, problems = config.load(path)
    return settings, "config.toml", problems


BRIDGE = 'handler = "bridge"\ntoken = "sesame"\nurl = '
MENU = 'handler = "menu"\nstart = "main"\nmenus.main.keys.1 = { webhook = "%s" }\nmenus.main.play = []'
WHY = "no {variable} is filled into a URL before its path: write out its scheme, host and port"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (BRIDGE + '"{a}"', "url"),
        (BRIDGE + '"ws:/{a}"', "url"),
        (BRIDGE + '"{a}://h/x"', "url"),
        (BRIDGE + '"ws://{a}/x"', "url"),
        (BRIDGE + '"ws://h:{a}/"', "url"),
        ('handler = "bridge"\nurl = "ws://{a}:x@h/"', "url"),
        (BRIDGE + '"ws://h.{a}?x"', "url"),
        (BRIDGE + '"ws://h{a}"', "url"),
        (MENU % "{a}", "menus.main.keys.1.webhook"),
        (MENU % "https://{b}.example.com/", "menus.main.keys.1.webhook"),
        (f'handler = "{__name__}:Own"\nurl = "ws://h/{{a}}"\nmore.x = ["", "ws://{{b}}/"]', "more.x[1]"),
    ],
)
def test_a_variable_in_the_host_of_a_url_is_a_mistake(tmp_path: Path, settings: str, key: str) -> None:
    found = build(tmp_path, settings).problems
    assert [f'paths."/bot/{{a}}/{{b}}": {key}: {WHY}' in line or f".{key}: {WHY}" in line for line in found] == [
        True
    ], found


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (BRIDGE + '"ws://h/public/{a}/{b}"', "no segment of a path may be empty there"),
        (MENU % "https://h/public/{a}/{b}", "no segment of a path may be empty there"),
        (f'handler = "{__name__}:Own"\nurl = "{{a}}"', "a value may not be a URL there"),
    ],
)
def test_a_call_whose_variables_lead_elsewhere_is_refused(tmp_path: Path, settings: str, why: str) -> None:
    configuration = build(tmp_path, settings)
    assert not configuration.problems
    (route,) = configuration.table
    value = ".." if "segment" in why else "ws://evil/"
    with pytest.raises(RefusedError, match=f'the URL has "{value}" in place of {{a}}') as caught:
        route.build_handler({"a": value, "b": "admin"}, {}, library_of().snapshot)
    assert (caught.value.status, caught.value.reason) == (400, RefusalReason.BAD_VARIABLE)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("call", "told"),
    [("a b/c", "calls/a%20b%2Fc"), ("..", ""), ("%2e%2e", ""), ("x/../y", ""), ("", ""), (".a", "calls/.a")],
)
def test_a_call_id_is_one_segment_of_a_url_or_empty(call: str, told: str) -> None:
    assert Stream("1", "/a", "peer", call=call).event_resource == told
