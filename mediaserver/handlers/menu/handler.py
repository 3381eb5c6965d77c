"""`menu`: an IVR. Callers hear prompts, press keys, and come to other menus, a recording, a webhook, the end."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import structlog
from pydantic import BaseModel, Field, ValidationError, model_validator

from mediaserver.call import Call, CollectedDigits
from mediaserver.config import error_messages
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import EngineError, PeerError, PromptError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.handlers.common import files
from mediaserver.handlers.common.phrase import Phrase, Speaking, values_of
from mediaserver.handlers.menu import plan
from mediaserver.handlers.menu.plan import HANG_UP, Collect, Menu, Step
from mediaserver.playout.sources.source import Playlist, Repeated, Segment, silence
from mediaserver.speech.engines.requirements import voice_problem

MAX_HASTY, _HASTE = 100, 1.0  # steps in a row of less than so many seconds: webhooks that go round in circles
_LINGER_MS = 200
_MISSED = {"timeout": EventKind.MENU_TIMEOUT, "invalid": EventKind.MENU_INVALID}

log = structlog.get_logger()


class MenuHandler(files.Keeping, Speaking, Handler):
    """A flow of menus."""

    own_variables: ClassVar[frozenset[str]] = files.FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})

    start: str = "main"
    menus: dict[str, Menu] = Field(min_length=1, description="the menus, by their names")
    directory: Path = Field(Path("recordings"), description="of what callers are asked to say")
    webhook_timeout: float = Field(5.0, gt=0, le=60, description="seconds for a webhook's answer")
    on_webhook_error: Step = HANG_UP

    @model_validator(mode="after")
    def _leads_somewhere(self) -> "MenuHandler":
        found = plan.problems(self.menus, self.start, [("on_webhook_error", self.on_webhook_error)])
        if found:
            raise ValueError("\n".join(found))  # a line each
        return self

    def prompt_names(self) -> Iterable[str]:
        """All the prompts of all menus."""
        names = [name for menu in self.menus.values() for name in menu.prompts()]
        return dict.fromkeys([*names, *self.on_webhook_error.prompts(), *filter(None, [self.fallback])])

    def members(self) -> Iterable[str | Phrase]:
        """All that all menus play and say."""
        return (*chain(*(menu.members() for menu in self.menus.values())), *self.on_webhook_error.play)

    def check(self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings) -> None:
        """Whether its texts can be said. To those that only a webhook leads to it may still bring their values."""
        values = values_of(variables, query)
        at_once = self.phrases(plan.before_webhooks(self.menus, self.start))
        for phrase in self.phrases(self.members()):
            if phrase in at_once or not set(phrase.say.names) - values.keys():
                phrase.check(values, speech)

    def place_of(self, step: Step) -> str:
        """Where the settings have a step's webhook: the rest of its URL may be a secret, and is told nowhere."""
        for name, menu in self.menus.items():
            for place, each in menu.steps():
                if each is step:
                    return f"{error_messages.format_key(('menus', name))}.{place}.webhook"
        return "on_webhook_error.webhook" if step is self.on_webhook_error else "of a webhook's answer"

    def folders(self) -> Iterable[Path]:
        """Where callers' recordings are kept, if there are any."""
        steps = [self.on_webhook_error, *(step for menu in self.menus.values() for _, step in menu.steps())]
        return (self.directory,) if any(step.record or step.webhook for step in steps) else ()

    async def run(self, call: Call) -> None:
        """Lead the caller through, from the first menu to the end."""
        await _Visit(self, call).run()
        await call.play(silence(_LINGER_MS))


class Answer(Step):
    """What a webhook says: a step, and variables to keep."""

    variables: dict[str, Any] = Field(default_factory=dict)


class _News(BaseModel):
    """What a webhook is told, beside what the stream is."""

    event: str = "entered"
    digits: str = ""
    recording: dict[str, Any] | None = None


class _Visit:
    """One caller on the way through the menus."""

    def __init__(self, flow: MenuHandler, call: Call) -> None:
        self._flow, self._call = flow, call
        self._variables: dict[str, Any] = {}  # that webhooks have set; they stand over the stream's
        self._menu = flow.start
        self._news = _News()

    async def run(self) -> None:
        """From the first menu to the end."""
        _ = self._call.keypad  # digits count from the beginning
        step: Step | None = Step(menu=self._flow.start)
        clock, hasty = asyncio.get_running_loop().time, 0
        while step is not None:
            began = clock()
            step = await self._take(step)
            hasty = hasty + 1 if clock() - began < _HASTE else 0
            if hasty > MAX_HASTY:
                log.error("the menu goes round in circles: hung up", stream=self._call.stream.id, menu=self._menu)
                return

    async def _take(self, step: Step) -> Step | None:
        """Do what a step says; the next one, or nothing at the end."""
        call = self._call
        if step.collect is not None:
            collected = await self._collect(step.collect, step.play, step)
            self._tell(collected, step.collect)
        elif step.play:
            await call.prompt(self._sound(step.play), step.barge_in)
        if step.record is not None:
            call.keypad.drain_digits()
            recording = await step.record.record(call, self._flow.directory, modes=self._flow.modes)
            call.keypad.drain_digits()  # what was pressed meanwhile is not for the next menu
            self._news = _News(event="recorded", recording=recording.as_dict())
        if step.menu is not None:
            return await self._choose(step.menu)
        if step.webhook is not None:
            return await self._ask(step.webhook, self._flow.place_of(step))
        call.hang_up()
        return None

    async def _choose(self, name: str) -> Step:
        """Let the caller choose in a menu; what the choice leads to."""
        again: Sequence[str | Phrase] = ()
        menu, why, digits = self._flow.menus[name], "timeout", ""
        self._menu = name
        self._call.notify(EventKind.MENU_ENTERED, {"menu": name})
        for _ in range(1 + menu.retries):
            collected = await self._collect(_entry(menu), (*again, *menu.play), menu, set(menu.keys))
            digits = collected.digits
            if digits in menu.keys:
                self._news = _News(event="digits", digits=digits)
                return menu.keys[digits]
            if menu.collect is not None and menu.then is not None and len(digits) >= menu.collect.min:
                self._tell(collected, menu.collect)
                return menu.then
            why, again = ("invalid", menu.invalid) if digits or not collected.timed_out else ("timeout", ())
            private = menu.collect is not None and menu.collect.private
            self._call.notify(_MISSED[why], {"menu": name} if private else {"menu": name, "digits": digits})
            self._call.keypad.drain_digits()  # typed ahead for a way that was not there
        self._news = _News(event=why, digits=digits)
        return menu.on_invalid if why == "invalid" else menu.on_timeout

    async def _collect(
        self, wanted: Collect, prompts: Sequence[str | Phrase], asking: Menu | Step, keys: Iterable[str] = ()
    ) -> CollectedDigits:
        """Play the prompts and collect digits: one of the keys, or where numbers are asked for, any."""
        free = asking.collect is not None

        def enough(digits: str) -> bool:
            """Whether no further digit can make a difference: one key is left, or none and no number is wanted."""
            longer = any(key != digits and key.startswith(digits) for key in keys)
            return not longer and (digits in keys or not free)

        return await self._call.collect_digits(
            wanted.max,
            prompt=self._sound(prompts) if prompts else None,
            terminator=wanted.terminator,
            timeout=wanted.timeout,
            interdigit=wanted.interdigit,
            barge_in=asking.barge_in,
            enough=enough,
            private=wanted.private,
        )

    def _tell(self, collected: CollectedDigits, wanted: Collect) -> None:
        """Collected digits are news for a webhook."""
        enough = len(collected.digits) >= wanted.min
        self._news = _News(event="digits" if enough else "timeout", digits=collected.digits)

    async def _ask(self, url: str, place: str) -> Step:
        """Ask a webhook what next; where it does not say, what is to happen. `place`: of it in the settings."""
        stream, news = self._call.stream, self._news
        self._news = _News()
        body = news.model_dump() | {
            "menu": self._menu,
            "stream": stream.id,
            "path": stream.path,
            "resource": stream.event_resource,
            "variables": {**stream.variables, **self._variables},
        }
        try:
            answer = await self._call.ask(url, body, self._flow.webhook_timeout)
            return await self._understood(answer, url)
        except (PeerError, PromptError, ValueError) as error:
            why = _first_line(error)
            facts = {"menu": self._menu, "webhook": place, "why": why}
            log.error("webhook failed", stream=stream.id, path=stream.path, **facts)
            self._call.notify(EventKind.WEBHOOK_FAILED, facts)
            return self._flow.on_webhook_error

    async def _understood(self, answer: Any, url: str) -> Step:
        """A webhook's answer as a step; ValueError or PromptError where it is none, or cannot be said."""
        step = Answer.model_validate(answer)
        if (step.collect is not None or step.record is not None) and not step.ways:
            step = step.model_copy(update={"webhook": url})  # the result is for who asked
        for problem in plan.problems(self._flow.menus, self._flow.start, [("the answer", step)]):
            raise ValueError(problem)
        for name in step.prompts():
            self._call.prompts.get(name)
        speech = self._call.speech.settings
        for phrase in self._flow.phrases(step.play):
            await asyncio.to_thread(phrase.prepare, speech)  # of a language not spoken before it takes a while
            if problem := voice_problem(phrase.need, speech):
                raise ValueError(problem)
            phrase.check(self._values_with(step.variables), speech)
        self._variables |= step.variables
        return step

    def _values_with(self, more: Mapping[str, Any]) -> Mapping[str, str]:
        """What a text's variables stand for: what webhooks say, before what the stream has."""
        stream = self._call.stream
        said = {key: str(value) for key, value in {**self._variables, **more}.items() if _can_be_said(value)}
        return {**values_of(stream.variables, stream.query), **said}

    def _sound(self, members: Sequence[str | Phrase]) -> Playlist:
        """EngineError where a text lacks a value, and there is no fallback."""
        runs: list[Segment | Iterable[Segment]] = []
        for member in members:
            try:
                runs += self._flow.sound((member,), self._call, self._values_with({}))
            except ValueError as error:
                runs.append(self._instead(str(error)))
        return Playlist(Repeated(runs, 1))

    def _instead(self, why: str) -> Segment:
        """What is heard in place of a text that cannot be said."""
        stream = self._call.stream
        self._call.notify(EventKind.SPEECH_FAILED, {"why": why})
        if self._flow.fallback is None:
            raise EngineError(f'a text cannot be said in menu "{self._menu}": {why}')
        log.error("a text cannot be said", stream=stream.id, path=stream.path, menu=self._menu, why=why)
        return self._call.prompts.get(self._flow.fallback)


def _entry(menu: Menu) -> Collect:
    """The digits that a menu waits for."""
    if menu.collect is not None:
        return menu.collect
    return Collect(
        max=max(map(len, menu.keys)),
        terminator="" if any("#" in key for key in menu.keys) else "#",
        timeout=menu.timeout,
        interdigit=menu.interdigit,
    )


def _can_be_said(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return f"the answer is not understood: {error_messages.summarize_error(error)}"
    return str(error)
