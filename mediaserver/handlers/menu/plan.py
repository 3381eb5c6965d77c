"""The settings of a menu flow: menus, the steps that keys lead to, and the validation of the flow as a whole."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mediaserver.call import BargeIn
from mediaserver.config.error_messages import format_key
from mediaserver.config.fields import Table, WebUrl
from mediaserver.config.flow_settings import DestinationText, FlowActions
from mediaserver.errors import did_you_mean
from mediaserver.handlers.common.spoken_prompt import PromptItems, SpokenPrompt, prompt_names_in
from mediaserver.handlers.record import RecordSettings

_DIGITS = r"^[0-9A-D*#]*$"
_EXITS = "a menu, webhook, transfer, actions"


def _is_key(key: str) -> str:
    if not re.fullmatch(r"[0-9A-D*#]{1,32}", key):
        raise ValueError("a key is a digit, or several: 0-9 A-D * #")
    return key


def _is_recording(value: Any) -> Any:
    return {} if value is True else value


Key = Annotated[str, AfterValidator(_is_key)]


class Collect(Table):
    """Settings for collecting DTMF digits from the caller: at least `min` digits, and at most `max`."""

    min: int = Field(1, ge=1, le=64, description="The least number of digits. Fewer are a wrong entry.")
    max: int = Field(ge=1, le=64, description="The most digits. The entry ends with the last of them.")
    terminator: str = Field(
        "#", max_length=1, pattern=_DIGITS, description="A key that ends the entry. Empty: none."
    )
    private: bool = Field(
        False, description="Whether the digits are sent to the webhook only, and are in no event."
    )
    timeout: float = Field(5.0, gt=0, le=600, description="Seconds that the caller has for the first digit.")
    interdigit: float = Field(3.0, gt=0, le=600, description="Seconds that the caller has for each further digit.")

    @model_validator(mode="after")
    def _in_order(self) -> "Collect":
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self


class Step(Table):
    """A step of a flow: plays prompts, may record or collect digits, and leads to a menu, a webhook or the end."""

    play: PromptItems = Field((), description="A prompt or a spoken text, or several in sequence.")
    barge_in: BargeIn = Field(BargeIn.DIGITS, description="What stops the prompts. `speech` includes digits.")
    record: Annotated[RecordSettings | None, BeforeValidator(_is_recording)] = Field(
        None, description="Records the caller. `true` takes the defaults."
    )
    collect: Collect | None = Field(None, description="Asks for digits, with the prompts of `play`.")
    menu: str | None = Field(None, description="The menu that comes next.")
    webhook: WebUrl | None = Field(
        None, description="A URL to which what happened is POSTed. Its JSON answer is the next step."
    )
    hangup: bool = Field(False, description="Whether the call ends.")
    transfer: DestinationText | None = Field(
        None, description="The number, extension, agent, queue or conference that the caller is connected with."
    )
    actions: FlowActions | None = Field(None, description="The actions of VoIPBIN's flow that come next.")

    @model_validator(mode="before")
    @classmethod
    def _is_table(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError('should be a step, such as { menu = "…" } or { play = "…", hangup = true }')
        return value

    @property
    def exits(self) -> int:
        """The number of settings given among `menu`, `webhook`, `hangup`, `transfer` and `actions`, at most 1."""
        given = (self.menu, self.webhook, self.transfer, self.actions)
        return sum(each is not None for each in given) + self.hangup

    @property
    def leads_out(self) -> str:
        """The setting that sends the call elsewhere after the step: `transfer`, `actions`, or "" for neither."""
        return "transfer" if self.transfer is not None else "actions" if self.actions is not None else ""

    @model_validator(mode="after")
    def _one_exit(self) -> "Step":
        if self.exits > 1:
            raise ValueError(
                "goes on in more than one way: give only one of a menu, webhook, transfer, actions and hangup"
            )
        if self.collect is not None and self.record is not None:
            raise ValueError('cannot "collect" and "record" at once')
        return self

    def prompt_names(self) -> Iterable[str]:
        """The names of the recorded prompts that the step plays, including a prompt that is a recording's beep."""
        beep = self.record.beep_prompt if self.record is not None else None
        return (*prompt_names_in(self.play), *([beep] if beep else []))


HANG_UP = Step(hangup=True)


class Menu(Table):
    """A choice for the caller: the menu plays prompts, then each key leads to a step, or digits are collected."""

    play: PromptItems = Field((), description="A prompt or a spoken text, or several in sequence.")
    barge_in: BargeIn = Field(BargeIn.DIGITS, description="What stops the prompts. `speech` includes digits.")
    keys: dict[Key, Step] = Field(
        default_factory=dict, description="The step that each key, or sequence of keys, leads to."
    )
    collect: Collect | None = Field(None, description="Asks for digits, in place of single keys.")
    then: Step | None = Field(None, description="The step that the collected digits lead to.")
    timeout: float = Field(5.0, gt=0, le=600, description="Seconds for the first digit, after the prompts.")
    interdigit: float = Field(3.0, gt=0, le=600, description="Seconds that the caller has for each further digit.")
    retries: int = Field(2, ge=0, le=100, description="How many times the prompts are played again.")
    invalid: PromptItems = Field((), description="What is played first after a wrong entry.")
    on_timeout: Step = Field(HANG_UP, description="The step where no key came after all retries.")
    on_invalid: Step = Field(HANG_UP, description="The step where the entry was wrong after all retries.")

    @model_validator(mode="after")
    def _has_fitting_keys(self) -> "Menu":
        if (self.collect is None) != (self.then is None):
            raise ValueError('"collect" and "then" go together: digits, and what they lead to')
        if self.collect is not None and any(character.isdigit() for key in self.keys for character in key):
            raise ValueError('with "collect", keys can be only A-D, * and #: a number may begin with any other')
        if self.collect is not None and self.collect.terminator in self.keys:
            raise ValueError(f'the key {self.collect.terminator} is the terminator of "collect": give it another')
        return self

    @property
    def wanted(self) -> Collect:
        """How to collect digits: as `collect` says, or else up to as many digits as the menu's longest key has."""
        if self.collect is not None:
            return self.collect
        return Collect(
            max=max(map(len, self.keys)),
            terminator="" if any("#" in key for key in self.keys) else "#",
            timeout=self.timeout,
            interdigit=self.interdigit,
        )

    def steps(self) -> Iterator[tuple[str, Step]]:
        """All steps that the menu leads to, as pairs of settings key, such as `keys.1`, and step."""
        for key, step in self.keys.items():
            yield f"keys.{key}", step
        if self.then is not None:
            yield "then", self.then
        yield "on_timeout", self.on_timeout
        yield "on_invalid", self.on_invalid

    def prompt_names(self) -> Iterable[str]:
        """The names of the recorded prompts of the menu and of its steps."""
        own = prompt_names_in((*self.play, *self.invalid))
        return (*own, *(name for _, step in self.steps() for name in step.prompt_names()))

    def prompt_items(self) -> Iterable[str | SpokenPrompt]:
        """All prompts of the menu and of its steps: names of recorded prompts, and spoken prompts."""
        return (*self.play, *self.invalid, *(item for _, step in self.steps() for item in step.play))


def flow_problems(menus: dict[str, Menu], start: str, others: Iterable[tuple[str, Step]]) -> list[str]:
    """The mistakes in a flow: a line for each unknown menu, each dead end, and each menu that no step leads to.

    `others` are the steps outside of menus, each with the settings key that the lines call it by.
    """
    places = {name: format_key(("menus", name)) for name in menus}
    steps = [(f"{places[name]}.{place}", step) for name, menu in menus.items() for place, step in menu.steps()]
    steps += others
    found = [f'start: no menu "{start}"{did_you_mean(start, menus)}'] if start not in menus else []
    for place, step in steps:
        if step.menu is not None and step.menu not in menus:
            found.append(f'{place}: no menu "{step.menu}"{did_you_mean(step.menu, menus)}')
        if not step.exits:
            found.append(f"{place}: is a dead end: give {_EXITS} or hangup")
        elif step.collect is not None and step.webhook is None:
            found.append(f'{place}: "collect" needs a "webhook" to send the digits to')
    for name, menu in menus.items():
        if not menu.keys and menu.collect is None:
            found.append(f'{places[name]}: is a dead end: give "keys" or "collect"')
    # Only a flow without webhooks has unreachable menus, because a webhook's answer may lead to any menu.
    if not found and not any(step.webhook for _, step in steps):
        reached = _reached(start, lambda name: [step.menu for _, step in menus[name].steps() if step.menu])
        found += [f"{places[name]}: nothing leads to it" for name in menus if name not in reached]
    return found


def exhaustion_problems(step: Step) -> list[str]:
    """The mistakes in the step after VoIPBIN's last action. This step cannot ask for keys: none arrive then."""
    if step.menu is None and step.webhook is None and step.record is None and step.collect is None:
        return []
    return ["on_exhausted: no keys come any more: it can only play, and then transfer, hang up or run actions"]


def items_before_webhooks(menus: dict[str, Menu], start: str) -> Iterator[str | SpokenPrompt]:
    """All prompts, recorded or spoken, that may be played before a webhook has answered."""
    for name in _reached(start, lambda name: [step.menu for _, step in menus[name].steps() if step.menu]):
        yield from menus[name].prompt_items()


def _reached(start: str, targets: Callable[[str], Iterable[str]]) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        for name in targets(ahead.pop()):
            if name not in reached:
                reached.add(name)
                ahead.append(name)
    return reached
