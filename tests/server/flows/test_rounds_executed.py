"""The rounds of our flows, executed by the simulated platform's flow engine, without sockets and a clock."""

import json
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from yarl import URL

from mediaserver.client.flows.actions import parse_answer, parse_flow
from mediaserver.client.flows.engine import FETCH_TIMEOUT, Command, Fetch, FlowEngine
from mediaserver.client.flows.media import MediaRequest
from mediaserver.wire.voipbin import actions
from mediaserver.wire.voipbin.rounds import CONCLUSION, DIGITS, END, ROUND, Rounds, RoundSettings

SERVER = "https://media.example.com/flow/s/menu"
CONNECT = actions.make_action("connect", destinations=[{"type": "tel", "target": "+15551234567"}])


@dataclass
class Flow:
    """A flow whose one action asks `rounds`, and our answers, each `delay` seconds after its fetch."""

    rounds: Rounds = field(default_factory=lambda: Rounds(RoundSettings(SERVER, "media.example.com:9100")))
    delay: float = 0.1
    behind: tuple[dict[str, Any], ...] = ()
    decided: list[dict[str, Any]] | None = None  # the answer to the next fetch, in place of another round
    digits: str = ""  # all that the rounds have brought
    now: float = 0.0
    media: list[str] = field(default_factory=list)  # where media was started

    def __post_init__(self) -> None:
        flow = parse_flow(json.dumps([actions.fetch(SERVER), *self.behind]))
        self.engine = FlowEngine(flow, uuid4(), uuid4())
        self._asked: tuple[float, Fetch] | None = None
        self._obey(self.engine.start())

    @property
    def is_fetching(self) -> bool:
        return self._asked is not None

    @property
    def types(self) -> list[str]:
        return [entry.action.type for entry in self.engine.log]

    def press(self, key: str) -> None:
        self._obey(self.engine.press(key, self.now))

    def run(self, until: float) -> None:
        """Let the time pass up to `until`, or to the end of the flow."""
        while not self.engine.ended:
            answered = self._asked[0] if self._asked is not None else float("inf")
            due = self.engine.due if self.engine.due is not None else float("inf")
            if min(due, answered) > until:
                break
            self.now = min(due, answered)
            self._obey(self._answer() if answered <= due else self.engine.advance(due))
        self.now = max(self.now, until)

    def run_until_fetch(self) -> None:
        """Let the time pass until the next fetch waits for its answer."""
        while not self.is_fetching:
            assert self.engine.due is not None
            self.run(self.engine.due)

    def _obey(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Fetch):
                self._asked = self.now + self.delay, command
            elif isinstance(command, MediaRequest):
                self.media.append(command.url)

    def _answer(self) -> list[Command]:
        """Our answer to the fetch that waits, as it comes over HTTP."""
        assert self._asked is not None
        (_, command), self._asked = self._asked, None
        query = URL(command.url).with_fragment(None).query
        if ROUND not in query:
            answer = self.rounds.begin()
        else:
            self.digits += self.rounds.take_digits(query.get(DIGITS, ""), END in query)
            answer = self.rounds.go_on(0, 0) if self.decided is None else self.rounds.conclude(self.decided)
        return self.engine.fetched(parse_answer(json.dumps(answer)), self.now)


def test_media_is_started_once_and_keys_come_one_by_one() -> None:
    flow = Flow()
    for second, key in enumerate("1470*", 1):
        flow.run(second)
        flow.press(key)
    flow.run(6)
    assert flow.digits == "1470*"
    assert flow.media == ["tcp://media.example.com:9100"]
    assert not any(entry.is_problem for entry in flow.engine.log)


@pytest.mark.parametrize("seed", range(20))
def test_no_key_is_lost_whenever_it_is_pressed(seed: int) -> None:
    """Also while a fetch is being answered, for as long as VoIPBIN waits. Only what follows a # may be lost."""
    chance = random.Random(seed)
    flow = Flow(delay=chance.choice((0.0, 0.05, 0.4, FETCH_TIMEOUT - 0.01)))
    flow.run_until_fetch()
    flow.run(flow.now + flow.delay)  # the first answer is there
    keys = "".join(chance.choices("0123456789*ABCD", k=30))
    for key in keys:
        flow.run(flow.now + chance.choice((0.0, 0.01, 0.3, 1.0)))
        flow.press(key)
    flow.run(flow.now + 8)
    assert flow.digits == keys


def test_keys_pressed_during_a_fetch_end_the_next_round_at_once() -> None:
    flow = Flow(delay=1.0)
    flow.run(1.5)
    flow.press("1")
    assert flow.is_fetching
    for key in "234":
        flow.press(key)
    flow.run(flow.now + 1.0)  # the answer, and the next fetch
    assert (flow.digits, flow.is_fetching) == ("1", True)
    flow.run(flow.now + 1.0)
    assert flow.digits == "1234"


def test_a_hash_comes_and_the_digits_before_it() -> None:
    flow = Flow()
    flow.run(0.5)
    flow.press("1")
    flow.press("2")
    flow.press("#")
    flow.run(1.0)
    assert flow.digits == "12#"
    flow.press("3")
    flow.press("#")
    flow.run(3.0)
    assert flow.digits == "12#3#"


def test_an_answer_that_comes_too_late_is_the_end_of_the_rounds() -> None:
    flow = Flow()
    flow.run(0.5)
    flow.delay = FETCH_TIMEOUT + 0.1
    flow.press("1")
    flow.run(60.0)
    assert (flow.engine.ended, flow.engine.due) == ("", None)
    assert (flow.types[-1], flow.engine.log[-1].is_problem) == ("fetch", True)


@pytest.mark.parametrize("key", ["1", "#", ""])
def test_when_the_budget_is_used_up_the_flow_can_still_be_led_on(key: str) -> None:
    """With four actions that connect the caller, each of which counts twice, and three of the user's behind."""
    behind = tuple(actions.make_action("sleep", duration=1) for _ in range(3))
    flow = Flow(behind=behind)
    while not flow.rounds.exhausted:
        flow.run(flow.now + 1.0)
        if key and not flow.rounds.nearly_exhausted:
            flow.press(key)
    flow.decided = [CONNECT] * CONCLUSION
    flow.run(flow.now + 300.0)
    assert flow.types[-7:] == ["connect"] * 4 + ["sleep"] * 3
    assert flow.engine.ended == "the flow has no more actions"
    assert flow.rounds.executed == len(flow.types) - 3 + 4  # the user's own are not known


def test_the_count_goes_on_where_a_flow_comes_once_more() -> None:
    rounds = Rounds(RoundSettings(SERVER, "media.example.com:9100", executed=40))
    rounds.begin()
    assert rounds.executed == 40 + 1 + 5
