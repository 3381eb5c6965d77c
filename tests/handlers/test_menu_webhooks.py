"""What a menu makes of its webhooks' answers: which are kept, where they lead, and what events say of them."""

from pathlib import Path
from typing import Any

import pytest

from mediaserver.handlers.menu.handler import MenuHandler
from mediaserver.handlers.menu.webhook import WebhookFacts, explain, is_sayable
from tests.call.caller import Backend
from tests.handlers.test_menu import ASKING, BYE, WHOLE, flow, visit
from tests.virtual import VirtualLoop, in_virtual_time

AGAIN = {"webhook": "http://backend/again"}


@in_virtual_time
async def test_the_variables_of_an_answer_that_is_not_valid_are_not_kept(loop: VirtualLoop) -> None:
    handler = flow(ASKING, 'on_webhook_error = { webhook = "http://backend/sorry" }\n')
    wrong = {"variables": {"account": "1"}, "menu": "nowhere"}
    right = {"variables": {"name": "new"}, "webhook": "http://backend/again"}
    _, caller, _ = await visit(loop, handler, 3000, (700, "1"), answers=(wrong, right, BYE))
    told = [(url.rpartition("/")[2], body["variables"]) for url, body in caller.backend.questions]
    assert told == [("key", {"name": "value"}), ("sorry", {"name": "value"}), ("again", {"name": "new"})]


@pytest.mark.parametrize("exit_", [{"menu": "sales"}, {"hangup": True}, {"webhook": "http://backend/other"}])
@in_virtual_time
async def test_a_recording_goes_to_the_same_webhook_only_where_the_answer_leads_nowhere_else(
    loop: VirtualLoop, tmp_path: Path, exit_: dict[str, Any]
) -> None:
    record = {"record": {"max_duration": 0.2, "file": "{id}.wav"}}
    handler = flow(ASKING, f'directory = "{tmp_path}"\n')
    heard, caller, _ = await visit(loop, handler, 4000, (700, "1"), answers=(record | exit_, BYE))
    others = ["http://backend/other"] if "webhook" in exit_ else []
    assert [url for url, _ in caller.backend.questions] == ["http://backend/key", *others]
    assert heard == ["main", *{"menu": ["sales"], "webhook": ["bye"]}.get(next(iter(exit_)), [])]


@in_virtual_time
async def test_events_about_a_webhook_name_its_menu_and_its_place(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of the settings, or that an answer has named it, but no URL, because that may have a secret."""
    monkeypatch.setattr(Backend, "wait", 2.004)
    text = ASKING.replace("keys.2 = ", 'keys."#" = { webhook = "http://backend/x" }\nkeys.2 = ')
    _, caller, _ = await visit(loop, flow(text), 9000, (700, "#"), answers=(AGAIN, "nonsense"))
    assert caller.backend.events_of("webhook.slow") == [
        {"menu": "main", "webhook": place, "seconds": 2.0}
        for place in ("menus.main.keys.#.webhook", "of a webhook's answer")
    ]
    (failed,) = caller.backend.events_of("webhook.failed")
    assert (failed["menu"], failed["webhook"]) == ("main", "of a webhook's answer")
    assert failed["why"].startswith("the answer is not understood: ")


@in_virtual_time
async def test_a_webhook_that_is_asked_in_another_menu_is_told_which(loop: VirtualLoop) -> None:
    text = ASKING.replace(
        'keys."#" = { play', 'keys."0" = { webhook = "http://backend/sales" }\nkeys."#" = { play'
    )
    _, caller, _ = await visit(loop, flow(text), 4000, (700, "2"), (2000, "0"), answers=(BYE,))
    ((url, body),) = caller.backend.questions
    assert (url, body["menu"], body["stream"], body["path"]) == ("http://backend/sales", "sales", "id", "/path")


@pytest.mark.parametrize(
    ("more", "has_folder"),
    [
        ("", False),
        ("2 = { record = true, hangup = true }", True),
        ('2 = { webhook = "http://backend/" }', True),  # whose answer may record
        ('[menus.main.on_timeout]\nwebhook = "http://backend/"', True),
    ],
)
def test_the_folder_of_recordings_is_needed_where_something_may_be_recorded(more: str, has_folder: bool) -> None:
    assert list(flow(WHOLE + more).folders()) == ([Path("recordings")] if has_folder else [])
    asking = flow(WHOLE, 'on_webhook_error = { webhook = "http://backend/" }\n')
    assert list(asking.folders()) == [Path("recordings")]


def test_every_prompt_of_a_flow_is_known_before_a_call_comes() -> None:
    handler: MenuHandler = flow(
        WHOLE
        + """
        2 = { play = ["b", { say = "Two." }], record = { beep = "c" }, menu = "main" }
        [menus.main.on_timeout]
        play = "d"
        hangup = true
        [menus.main.on_invalid]
        play = ["e", "main"]
        hangup = true
        """,
        'fallback = "f"\non_webhook_error = { play = "g", hangup = true }\n'
        'on_exhausted = { play = ["h", { say = "Bye." }], hangup = true }\n',
    )
    assert sorted(handler.prompt_names()) == ["b", "c", "d", "e", "f", "g", "h", "main"]
    texts = [f"{item.say}" for item in handler.prompt_items() if not isinstance(item, str)]
    assert texts == ["Two.", "Bye."]


@pytest.mark.parametrize(
    ("value", "sayable"),
    [("a", True), ("", True), (1, True), (0, True), (1.5, True), (True, False), (None, False), ([1], False)],
)
def test_what_can_be_said_of_a_webhook_s_values(value: object, sayable: bool) -> None:
    assert is_sayable(value) is sayable


def test_nothing_has_happened_before_the_first_webhook() -> None:
    assert WebhookFacts().model_dump() == {"event": "entered", "digits": "", "recording": None}
    assert explain(ValueError("as it is")) == "as it is"
