"""Menus: where keys lead, what webhooks answer, and mistakes in a flow."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mediaserver.audio.pcm import Samples
from mediaserver.call import End
from mediaserver.call.problems import find_problems
from mediaserver.errors import WebhookError
from mediaserver.handlers.menu.handler import MenuHandler
from tests.call.caller import Backend, Caller, digits
from tests.handlers.test_handlers import library_of
from tests.sound import speechlike
from tests.virtual import VirtualLoop, in_virtual_time

# half a second each
SOUNDS = {name: speechlike(4000, seed) for seed, name in enumerate(["main", "sales", "pin", "wrong", "bye"], 20)}

FLOW = """
[menus.main]
play = "main"
invalid = "wrong"
retries = 1
timeout = 1
[menus.main.keys]
1 = { menu = "sales" }
2 = { menu = "pin" }
9 = { play = "bye", hangup = true }
[menus.sales]
play = "sales"
[menus.sales.keys]
1 = { menu = "east" }
"*" = { menu = "main" }
[menus.east]
play = "pin"
[menus.east.keys]
7 = { play = "bye", hangup = true }
[menus.pin]
play = "pin"
collect = { min = 4, max = 6, interdigit = 1, timeout = 1 }
then = { webhook = "http://backend/pin" }
retries = 0
on_invalid = { menu = "main" }
keys."*" = { menu = "main" }
"""


def flow(text: str = FLOW, more: str = "") -> MenuHandler:
    return MenuHandler.model_validate(tomllib.loads(more + text))


async def visit(
    loop: VirtualLoop, handler: MenuHandler, ms: float, *presses: tuple[float, str], answers: tuple = ()
) -> tuple[list[str], Caller, End | None]:
    """The prompts that a caller hears who presses keys at their times; those cut off have a dash."""
    caller = Caller(loop, library_of(SOUNDS), None, *answers)
    acts = [(at, lambda keys=keys: caller.say(digits(keys))) for at, keys in presses]
    end = await caller.call(handler.run, ms, *acts)
    return told(caller.heard), caller, end


def told(heard: Samples) -> list[str]:
    """Which prompts are in what was heard, in order."""
    found, at = [], 0
    while at < len(heard):
        for name, sound in SOUNDS.items():
            if (heard[at : at + 160] == sound[:160]).all():
                whole = (heard[at : at + 4000] == sound[: len(heard) - at]).all()
                found.append(name if whole else f"{name}-")
                at += 4000 if whole else int(np.flatnonzero(heard[at : at + 4000] != sound[: len(heard) - at])[0])
                at -= at % 160
                break
        else:
            at += 160
    return found


@in_virtual_time
async def test_three_menus_deep(loop: VirtualLoop) -> None:
    heard, caller, end = await visit(loop, flow(), 6000, (700, "1"), (1700, "1"), (2700, "7"))
    assert heard == ["main", "sales", "pin", "bye"]
    assert end is not None
    assert end.code == 1000
    assert [event["menu"] for event in caller.backend.events_of("menu.entered")] == ["main", "sales", "east"]


@in_virtual_time
async def test_callers_who_type_ahead_hear_little_of_the_menus(loop: VirtualLoop) -> None:
    heard, _, end = await visit(loop, flow(), 3000, (100, "117"))
    assert heard[0] == "main-"
    assert heard[-1] == "bye"
    assert end is not None


@in_virtual_time
async def test_a_key_may_lead_back(loop: VirtualLoop) -> None:
    heard, _, _ = await visit(loop, flow(), 3500, (700, "1"), (1700, "*"), (2700, "9"))
    assert heard == ["main", "sales", "main", "bye"]


@in_virtual_time
async def test_a_wrong_key_is_an_event_and_the_prompts_are_repeated(loop: VirtualLoop) -> None:
    heard, caller, end = await visit(loop, flow(), 5000, (700, "5"), (2500, "6"))
    assert heard == ["main", "wrong", "main"]
    assert end is not None  # the retries are used up
    assert [told["digits"] for told in caller.backend.events_of("menu.invalid")] == ["5", "6"]


@in_virtual_time
async def test_without_a_key_the_prompts_are_repeated_and_the_call_hung_up(loop: VirtualLoop) -> None:
    heard, caller, end = await visit(loop, flow(), 5000)
    assert heard == ["main", "main"]
    assert caller.backend.events_of("menu.timeout") == [{"menu": "main", "digits": ""}] * 2
    assert end is not None
    assert end.code == 1000
    # twice 0.5 s and 1 s; then it lingers
    assert caller.stage.transport.times[-1] == pytest.approx(3000 + 200, abs=40)


@in_virtual_time
async def test_a_webhook_says_what_comes_next(loop: VirtualLoop) -> None:
    answers = (
        {"play": ["sales"], "collect": {"max": 1}, "variables": {"account": "4711"}},
        {"play": "bye", "hangup": True},
    )
    heard, caller, end = await visit(loop, flow(), 6000, (700, "2"), (1700, "4711#"), (3500, "1"), answers=answers)
    assert heard == ["main", "pin", "sales", "bye"]
    assert end is not None
    (first_url, first), (second_url, second) = caller.backend.questions
    assert first_url == second_url == "http://backend/pin"
    assert first == {
        "event": "digits",
        "digits": "4711",
        "recording": None,
        "menu": "pin",
        "stream": "id",
        "path": "/path",
        "resource": "",
        "variables": {"name": "value"},
    }
    assert second["digits"] == "1"
    assert second["variables"] == {"name": "value", "account": "4711"}


@in_virtual_time
async def test_a_webhook_may_have_the_caller_recorded(loop: VirtualLoop, tmp_path: Path) -> None:
    record = {"record": {"max_duration": 1, "file": "{id}.wav"}}
    answers = (record, {"play": "bye", "hangup": True})
    handler = flow(more=f'directory = "{tmp_path}"\n')
    heard, caller, _ = await visit(loop, handler, 6000, (700, "2"), (1700, "4711#"), answers=answers)
    assert heard == ["main", "pin", "bye"]
    told = caller.backend.questions[1][1]
    assert told["event"] == "recorded"
    assert told["recording"] == {
        "file": str(tmp_path / "id.wav"),
        "seconds": 1.0,
        "reason": "max-duration",
        "error": "",
    }


@in_virtual_time
async def test_a_menu_goes_on_where_its_recording_fails(loop: VirtualLoop, tmp_path: Path) -> None:
    """When the caller has spoken, and not before; the webhook is told."""
    (tmp_path / "file").write_text("in the way")
    answers = ({"record": {"max_duration": 1, "file": "{id}.wav"}}, {"play": "bye", "hangup": True})
    handler = flow(more=f'directory = "{tmp_path / "file"}"\n')
    heard, caller, _ = await visit(loop, handler, 6000, (700, "2"), (1700, "4711#"), answers=answers)
    assert heard == ["main", "pin", "bye"]
    told = caller.backend.questions[1][1]
    file = str(tmp_path / "file/id.wav")
    assert told["recording"] == {"file": file, "seconds": 0.0, "reason": "error", "error": "File exists"}
    assert caller.backend.events_of("recording.failed") == [told["recording"]]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (WebhookError("backend: no answer within 5 s"), "backend: no answer within 5 s"),
        ("nonsense", "the answer is not understood"),
        ({"play": "no-such-prompt", "hangup": True}, 'no prompt "no-such-prompt"'),
        ({"menu": "salse"}, 'the answer: no menu "salse" (did you mean "sales"?)'),
        ({"play": "bye"}, "the answer: is a dead end: give a menu, webhook, transfer, actions or hangup"),
        ({"menu": "main", "hangup": True}, "goes on in more than one way"),
        ({"transfer": "+15551234"}, "the call cannot be transferred on this stream"),
        ({"transfer": "+0"}, "transfer: tel: should be followed by a number"),
        ({"record": {"file": "../../x"}}, "must name a file within the folder"),
        ({"record": {"file": "\ud800.wav"}}, "surrogates not allowed"),
        ({"record": {"max_duration": 1e305}}, "record.max_duration: should be 604800 or less"),
        ({"record": {"directory": "elsewhere"}}, "record.directory: unknown key"),
        ({"record": {"max_duration": float("inf")}}, "record.max_duration: should be a finite number"),
        ({"play": "sal*", "hangup": True}, 'no prompt "sal*"'),
        ({"play": 7, "hangup": True}, "the answer is not understood: play"),
        (None, "the answer is not understood"),
        ({"ply": "x", "hangup": "yes"}, "ply: unknown key"),
        ({"ply": "x", "hangup": "yes"}, "hangup: should be true or false"),
        ({"collect": {"max": 10**9}}, "collect.max"),
    ],
)
@in_virtual_time
async def test_a_webhook_that_fails_has_its_own_way_on(loop: VirtualLoop, answer: object, why: str) -> None:
    handler = flow(more='on_webhook_error = { play = "sales", menu = "main" }\n')
    heard, caller, end = await visit(loop, handler, 4400, (700, "2"), (1700, "4711#"), answers=(answer,))
    assert heard == ["main", "pin", "sales", "main"]
    assert end is None
    (failed,) = caller.backend.events_of("webhook.failed")
    assert why in failed["why"]
    assert "\n" not in failed["why"]
    assert failed["webhook"].startswith("menus.")  # its key, which its URL's host does not tell
    assert failed["webhook"].endswith(".then.webhook")


@pytest.mark.parametrize(("wait", "told"), [(1.9, []), (2.5, [2.5])])
@in_virtual_time
async def test_a_webhook_that_lets_the_caller_wait_is_told_of(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch, wait: float, told: list[float]
) -> None:
    monkeypatch.setattr(Backend, "wait", wait)
    answers = ({"play": "sales", "hangup": True},)
    heard, caller, _ = await visit(loop, flow(), 6000, (700, "2"), (1700, "4711#"), answers=answers)
    assert heard == ["main", "pin", "sales"]
    slow = caller.backend.events_of("webhook.slow")
    assert [each["seconds"] for each in slow] == told
    assert {each["webhook"] for each in slow} <= {"menus.pin.then.webhook"}
    problems = find_problems(caller.session.summary(), caller.session.failures)
    assert [problem.text for problem in problems if problem.kind == "webhook.slow"] == [
        "A webhook was slow to answer, and the caller heard nothing meanwhile: "
        f"menus.pin.then.webhook: {seconds} s."
        for seconds in told
    ]


@in_virtual_time
async def test_webhooks_that_go_round_in_circles_are_stopped(loop: VirtualLoop) -> None:
    """Even where an unused digit is in the type-ahead buffer."""
    answers = tuple({"webhook": "http://backend/again"} for _ in range(200))
    heard, caller, end = await visit(loop, flow(), 4000, (700, "2"), (1700, "4711#9"), answers=answers)
    assert heard == ["main", "pin"]
    assert len(caller.backend.questions) == 101
    assert end is not None
    assert end.code == 1000


@in_virtual_time
async def test_too_few_digits_are_no_entry(loop: VirtualLoop) -> None:
    heard, caller, _ = await visit(loop, flow(), 4000, (700, "2"), (1700, "12"))
    assert heard == ["main", "pin", "main"]
    assert caller.backend.questions == []


@in_virtual_time
async def test_keys_may_be_numbers_and_one_may_begin_another(loop: VirtualLoop) -> None:
    numbers = """
        [menus.main]
        play = "main"
        interdigit = 1
        [menus.main.keys]
        10 = { play = "sales", hangup = true }
        101 = { play = "pin", hangup = true }
        2 = { play = "wrong", hangup = true }
    """
    heard, _, _ = await visit(loop, flow(numbers), 3000, (700, "101"))
    assert heard == ["main", "pin"]


@in_virtual_time
async def test_a_number_that_begins_another_is_taken_after_a_pause(loop: VirtualLoop) -> None:
    numbers = (
        '[menus.main]\nplay = "main"\ninterdigit = 1\n[menus.main.keys]\n10 = {play = "sales", hangup = true}\n'
    )
    heard, _, _ = await visit(loop, flow(numbers + '101 = {play = "pin", hangup = true}'), 4000, (700, "10"))
    assert heard == ["main", "sales"]


WHOLE = '[menus.main]\nplay = "main"\n[menus.main.keys]\n1 = {hangup = true}\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("start = 'mian'\n" + WHOLE, 'start: no menu "mian" (did you mean "main"?)'),
        (
            WHOLE + '2 = {menu = "salse"}\n[menus.sales]\nkeys.1 = {hangup = true}',
            'menus.main.keys.2: no menu "salse"',
        ),
        (
            WHOLE + '2 = {play = "bye"}',
            "menus.main.keys.2: is a dead end: give a menu, webhook, transfer, actions or hangup",
        ),
        (WHOLE + "[menus.sales]\nplay = 'sales'", 'menus.sales: is a dead end: give "keys" or "collect"'),
        (WHOLE + "[menus.sales]\nkeys.1 = {hangup = true}", "menus.sales: nothing leads to it"),
        (WHOLE + "2 = {collect = {max = 3}, hangup = true}", '"collect" needs a "webhook" to send the digits to'),
        (WHOLE + '2 = {menu = "main", hangup = true}', "goes on in more than one way"),
        (WHOLE + "[menus.main.collect]\nmax = 3", '"collect" and "then" go together'),
        (WHOLE + '"1a" = {hangup = true}', "a key is a digit, or several: 0-9 A-D * #"),
        (WHOLE + '2 = {webhook = "backend/x"}', "should be a URL that begins with http:// or https://"),
        (
            "[menus.main]\ncollect = {max = 3}\nthen = {hangup = true}\nkeys.1 = {hangup = true}",
            'with "collect", keys can be only A-D, * and #',
        ),
        ("[menus.main]\ncollect = {min = 5, max = 3}\nthen = {hangup = true}", "min 5 is more than max 3"),
        ("menus = {}", "at least 1 item"),
    ],
)
def test_mistakes_in_a_flow(text: str, why: str) -> None:
    with pytest.raises(ValidationError) as error:
        flow(text)
    assert why in str(error.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '[menus.main]\ncollect = {max = 4}\nthen = {hangup = true}\nkeys."#" = {hangup = true}',
            'the key # is the terminator of "collect": give it another',
        ),
        (WHOLE + '2 = {menu = "main", webhook = "http://backend/"}', "goes on in more than one way"),
        (WHOLE + '2 = {webhook = "http://backend/", hangup = true}', "goes on in more than one way"),
        (
            WHOLE + '2 = {collect = {max = 1}, record = true, webhook = "http://backend/"}',
            'cannot "collect" and "record" at once',
        ),
        ('[menus.main]\ncollect = {max = 4}\nthen = {play = "bye"}', "menus.main.then: is a dead end"),
        (WHOLE + '[menus.main.on_invalid]\nmenu = "x"', 'menus.main.on_invalid: no menu "x"'),
        (WHOLE + '[menus.main.on_timeout]\nmenu = "x"', 'menus.main.on_timeout: no menu "x"'),
        ("on_webhook_error = {}\n" + WHOLE, "on_webhook_error: is a dead end"),
        ('[menus.main]\ncollect = {max = 4, terminator = "x"}\nthen = {hangup = true}', "terminator"),
        ('[menus.main]\ncollect = {max = 4, terminator = "##"}\nthen = {hangup = true}', "terminator"),
        (WHOLE + '2 = "sales"', 'should be a step, such as { menu = "…" }'),
        (WHOLE + '2 = {webhook = "https://"}', "should be a URL that begins with"),
    ],
)
def test_easy_mistakes_are_explained(text: str, why: str) -> None:
    with pytest.raises(ValidationError) as error:
        flow(text)
    assert why in str(error.value)


@in_virtual_time
async def test_a_terminator_after_the_last_digit_is_dropped(loop: VirtualLoop) -> None:
    text = FLOW.replace("min = 4, max = 6", "min = 4, max = 4").replace(
        '{ webhook = "http://backend/pin" }', '{ menu = "main" }'
    )
    heard, caller, _ = await visit(loop, flow(text), 3800, (700, "2"), (1700, "4711#"))
    assert heard == ["main", "pin", "main"]
    assert caller.backend.events_of("menu.invalid") == []


@in_virtual_time
async def test_a_digit_that_ends_a_recording_may_come_soon(loop: VirtualLoop, tmp_path: Path) -> None:
    """After a menu's single digit a # is dropped only if it comes at once."""
    text = WHOLE + '2 = { record = { finish_on = "#" }, hangup = true }'
    handler = flow(text, f'directory = "{tmp_path}"\n')
    _, caller, end = await visit(loop, handler, 4000, (700, "2#"), (2500, "#"))
    assert end is not None
    (done,) = caller.backend.events_of("recording.done")
    assert (done["reason"], round(done["seconds"])) == ("digit", 2)


@in_virtual_time
async def test_a_digit_stops_what_a_step_plays_and_counts_in_the_next_menu(loop: VirtualLoop) -> None:
    text = WHOLE + '2 = { play = "sales", menu = "main" }\n3 = { play = "bye", hangup = true }'
    heard, _, _ = await visit(loop, flow(text), 3000, (700, "2"), (1000, "3"))
    assert heard == ["main", "sales-", "bye"]


@in_virtual_time
async def test_digits_pressed_into_a_recording_are_not_for_the_next_menu(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    text = WHOLE + '2 = { record = { max_duration = 1 }, menu = "main" }'
    handler = flow(text, f'directory = "{tmp_path}"\n')
    heard, caller, end = await visit(loop, handler, 3500, (700, "21"))
    assert heard == ["main", "main"]
    assert end is None
    assert caller.backend.events_of("recording.done")[0]["reason"] == "max-duration"


def test_missing_prompts_are_known_before_a_call_comes() -> None:
    handler = flow(WHOLE + '2 = { play = ["bye", "by"], record = { beep = "been" }, menu = "main" }')
    assert handler.missing_prompts(library_of(SOUNDS).snapshot) == [
        'no prompt "by" (did you mean "bye"?)',
        'no prompt "been"',
    ]


@in_virtual_time
async def test_a_digit_that_begins_no_key_is_wrong_at_once(loop: VirtualLoop) -> None:
    """Even where others are several digits long: the caller need not wait for the pause after it."""
    numbers = '[menus.main]\nplay = "main"\ninvalid = "wrong"\n[menus.main.keys]\n11 = {hangup = true}\n'
    heard, caller, _ = await visit(
        loop, flow(numbers + '0 = {play = "bye", hangup = true}'), 3500, (700, "7"), (1000, "0")
    )
    assert heard == ["main", "wrong-", "bye"]
    assert caller.backend.events_of("menu.invalid") == [{"menu": "main", "digits": "7"}]


@in_virtual_time
async def test_a_pin_is_sent_to_its_webhook_only(loop: VirtualLoop) -> None:
    text = FLOW.replace("collect = { min = 4", "collect = { private = true, min = 4")
    answers = ({"hangup": True},)
    _, caller, _ = await visit(loop, flow(text), 6000, (700, "2"), (1700, "4711#"), answers=answers)
    assert caller.backend.questions[0][1]["digits"] == "4711"
    assert "4711" not in str(caller.backend.events)


@in_virtual_time
async def test_a_webhook_may_keep_a_caller_waiting_for_as_long_as_it_likes(loop: VirtualLoop) -> None:
    answers = ({"play": ["main", "sales"], "webhook": "http://backend/again"},) * 150
    _, caller, end = await visit(loop, flow(), 145_000, (700, "2"), (1700, "4711#"), answers=answers)
    assert len(caller.backend.questions) > 130
    assert end is None


ASKING = """
[menus.main]
play = "main"
invalid = "wrong"
retries = 0
timeout = 1
keys.1 = { webhook = "http://backend/key" }
keys.2 = { menu = "sales" }
keys.3 = { record = { max_duration = 0.2, file = "{id}.wav" }, webhook = "http://backend/recorded" }
on_timeout = { webhook = "http://backend/timeout" }
on_invalid = { webhook = "http://backend/invalid" }
[menus.sales]
play = "sales"
keys."#" = { play = "bye", hangup = true }
"""
BYE = {"play": "bye", "hangup": True}


@pytest.mark.parametrize(
    ("keys", "url", "event", "digits"),
    [
        ("1", "key", "digits", "1"),
        ("7", "invalid", "invalid", "7"),
        ("#", "invalid", "invalid", ""),
        ("", "timeout", "timeout", ""),
        ("3", "recorded", "recorded", ""),
    ],
)
@in_virtual_time
async def test_a_webhook_gets_what_led_to_it(
    loop: VirtualLoop, tmp_path: Path, keys: str, url: str, event: str, digits: str
) -> None:
    handler = flow(ASKING, f'directory = "{tmp_path}"\nwebhook_timeout = 7\n')
    presses = [(700, keys)] if keys else []
    heard, caller, end = await visit(loop, handler, 4000, *presses, answers=(BYE,))
    ((asked, told),) = caller.backend.questions
    assert asked == f"http://backend/{url}"
    assert (told["event"], told["digits"], told["menu"]) == (event, digits, "main")
    assert (told["recording"] is not None) is (event == "recorded")
    assert caller.backend.timeouts == [7]
    assert heard == ["main", "bye"]
    assert end is not None
    assert caller.session._lifetime.hanging_up


@in_virtual_time
async def test_a_webhook_gets_each_fact_once(loop: VirtualLoop) -> None:
    again = {"webhook": "http://backend/again"}
    _, caller, _ = await visit(loop, flow(ASKING), 3000, (700, "1"), answers=(again, again, BYE))
    told = [(told["event"], told["digits"]) for _, told in caller.backend.questions]
    assert told == [("digits", "1"), ("entered", ""), ("entered", "")]


@in_virtual_time
async def test_fewer_digits_than_a_webhook_asked_for_are_a_time_out(loop: VirtualLoop) -> None:
    ask = {"play": "sales", "collect": {"min": 2, "max": 4, "timeout": 1, "interdigit": 1}}
    _, caller, _ = await visit(
        loop, flow(ASKING), 9000, (700, "1"), (1700, "4"), (4000, "42"), answers=(ask, ask, BYE)
    )
    told = [(told["event"], told["digits"]) for _, told in caller.backend.questions]
    assert told == [("digits", "1"), ("timeout", "4"), ("digits", "42")]


@in_virtual_time
async def test_a_key_may_be_the_usual_terminator(loop: VirtualLoop) -> None:
    heard, _, end = await visit(loop, flow(ASKING), 4000, (700, "2"), (2200, "#"))
    assert heard == ["main", "sales", "bye"]
    assert end is not None


@in_virtual_time
async def test_a_wrong_pin_is_in_no_event(loop: VirtualLoop) -> None:
    text = FLOW.replace("collect = { min = 4", "collect = { private = true, min = 4")
    _, caller, _ = await visit(loop, flow(text), 5000, (700, "2"), (1700, "47#"))
    assert caller.backend.events_of("menu.invalid") == [{"menu": "pin"}]
    assert caller.backend.events_of("digits")[-1] == {"count": 2}


@in_virtual_time
async def test_keys_typed_ahead_of_a_wrong_one_are_forgotten(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(SOUNDS))
    await caller.call(flow().run, 2500, (700, lambda: caller.session.push_digits("51")))
    assert told(caller.heard) == ["main", "wrong", "main"]
    assert len(caller.backend.events_of("menu.entered")) == 1


@pytest.mark.parametrize("barge_in", ["off", "digits"])
@in_virtual_time
async def test_whether_keys_stop_what_is_played(loop: VirtualLoop, barge_in: str) -> None:
    """A menu's prompts, what a step plays on its way, and what it plays before it asks for digits."""
    text = f"""
        [menus.main]
        play = ["main", "pin"]
        barge_in = "{barge_in}"
        keys.1 = {{ play = "sales", barge_in = "{barge_in}", menu = "other" }}
        [menus.other]
        play = "bye"
        [menus.other.keys.2]
        play = "wrong"
        barge_in = "{barge_in}"
        collect.max = 1
        webhook = "http://backend/"
    """
    presses = [(100, "1"), (1300, "2"), (2500, "3")] if barge_in == "off" else [(100, "1"), (350, "2"), (800, "3")]
    heard, caller, _ = await visit(loop, flow(text), 6000, *presses, answers=(BYE,))
    if barge_in == "off":  # a key that waits keeps the other menu's own prompt from beginning
        assert heard == ["main", "pin", "sales", "wrong", "bye"]
    else:
        assert heard[0] == "main-"
        assert "sales-" in heard
        assert "wrong-" in heard
    assert caller.backend.questions[0][1]["digits"] == "3"


@in_virtual_time
async def test_an_entry_has_its_own_times(loop: VirtualLoop) -> None:
    """As the menu says for keys, as `collect` says for numbers."""
    keys = """
        [menus.main]
        retries = 0
        timeout = {}
        interdigit = {}
        keys.10 = {{ hangup = true }}
        keys.1 = {{ hangup = true }}
    """
    number = """
        [menus.main]
        retries = 0
        timeout = 9
        interdigit = 9
        collect = {{ max = 3, timeout = {}, interdigit = {} }}
        then = {{ hangup = true }}
    """
    for text in (keys, number):
        for press, (timeout, interdigit), lasted in (("", (2, 7), 2.2), ("1", (7, 4), 4.2)):
            caller = Caller(loop, library_of(SOUNDS))
            began = loop.time()

            session = caller.session
            if press:
                session.push_digits(press)
            await session.run(flow(text.format(timeout, interdigit)).run(session.call))
            assert loop.time() - began == pytest.approx(lasted, abs=0.05)
