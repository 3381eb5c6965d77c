"""What people are told of a menu: where each key leads, and what happens without a key."""

import tomllib

import pytest

from mediaserver.handlers.menu.handler import MenuHandler
from mediaserver.handlers.menu.transitions import Transition, list_transitions

MENUS = """
[menus.main]
play = ["welcome", { say = "Press one." }]
on_timeout = { play = "bye", hangup = true }
keys.1 = { menu = "number" }
keys.2 = { play = ["one", { say = "Hello {name}." }], record = true, hangup = true }
keys.3 = { webhook = "http://user:secret@backend/next?token=secret" }
keys.4 = { transfer = "+4930123456" }
keys.5 = { actions = [{ type = "stop" }, { type = "hangup" }] }
keys.6 = { actions = [] }
[menus.number]
collect = { min = 2, max = 5 }
then = { collect = { max = 1 }, webhook = "http://backend/" }
on_invalid = { menu = "main" }
"""


def test_each_key_and_outcome_is_told_in_the_order_of_the_settings() -> None:
    menus = MenuHandler.model_validate(tomllib.loads(MENUS)).menus
    plays = 'welcome "Press one."'
    assert list_transitions(menus) == [
        Transition("main", plays, "1", "menu number", "number"),
        Transition("main", plays, "2", 'play one "Hello {name}.", record, hang up', None),
        Transition("main", plays, "3", "webhook http://backend/next", None),
        Transition("main", plays, "4", "transfer to tel:+4930123456", None),
        Transition("main", plays, "5", "actions stop, hangup", None),
        Transition("main", plays, "6", "", None),
        Transition("main", plays, "on_timeout", "play bye, hang up", None),
        Transition("number", "", "2 to 5 digits", "collect, webhook http://backend/", None),
        Transition("number", "", "on_invalid", "menu main", "main"),
    ]


@pytest.mark.parametrize("menus", [None, [], "main", {}, {"main": {"keys": {}}}])
def test_what_is_no_menu_leads_nowhere(menus: object) -> None:
    assert list_transitions(menus) == []
