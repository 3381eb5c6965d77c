"""The `menu` handler: callers hear prompts and press keys, which lead to menus, recordings, webhooks or an end."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import structlog
from pydantic import Field, model_validator

from mediaserver.call import Call, CollectedDigits
from mediaserver.config import error_messages
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import CallControlError, EngineError, PeerError, PromptError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler, PlaybackSettings
from mediaserver.handlers.common import files
from mediaserver.handlers.common.spoken_prompt import SpokenPrompt, SpokenPromptSettings, template_values
from mediaserver.handlers.menu import plan
from mediaserver.handlers.menu.plan import HANG_UP, Collect, Menu, Step
from mediaserver.handlers.menu.webhook import WebhookAnswer, WebhookFacts, explain, is_sayable
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Segment, silence
from mediaserver.speech.engines.requirements import voice_problems

# A flow that takes more than MAX_FAST_STEPS steps in a row, each in less than _FAST_STEP seconds, goes round in
# circles, and is ended.
MAX_FAST_STEPS, _FAST_STEP = 100, 1.0
_LINGER_MS = 200
_SLOW_ANSWER = 2.0  # seconds of silence while a webhook is asked that the caller takes for a fault
_MISSED = {"timeout": EventKind.MENU_TIMEOUT, "invalid": EventKind.MENU_INVALID}

log = structlog.get_logger()


class MenuHandler(files.FileModeSettings, SpokenPromptSettings, PlaybackSettings, Handler):
    """A flow of menus (IVR): prompts, choices by key (DTMF), recordings, and webhooks that decide what is next."""

    own_variables: ClassVar[frozenset[str]] = files.TEMPLATE_FIELDS
    fixed_settings: ClassVar[frozenset[str]] = frozenset({"directory"})
    # The setting `actions` may contain {variables} that the URL lacks, because VoIPBIN fills them in.
    template_settings: ClassVar[frozenset[str]] = SpokenPromptSettings.template_settings | {"actions"}

    start: str = "main"
    menus: dict[str, Menu] = Field(min_length=1, description="The menus, by their names.")
    directory: Path = Field(Path("recordings"), description="The folder of the recordings.")
    webhook_timeout: float = Field(5.0, gt=0, le=60, description="Seconds that a webhook may take.")
    on_webhook_error: Step = HANG_UP
    on_exhausted: Step = Field(HANG_UP, description="The step where the flow has no actions left.")

    @model_validator(mode="after")
    def _leads_somewhere(self) -> "MenuHandler":
        found = plan.flow_problems(self.menus, self.start, self._own_steps)
        if found := [*found, *plan.exhaustion_problems(self.on_exhausted)]:
            raise ValueError("\n".join(found))  # one line of the message for each problem of the flow
        return self

    @property
    def _own_steps(self) -> list[tuple[str, Step]]:
        """The steps in the handler's own settings, outside of its menus, as pairs of settings key and step."""
        return [("on_webhook_error", self.on_webhook_error), ("on_exhausted", self.on_exhausted)]

    def _steps(self) -> Iterable[tuple[str, Step]]:
        """All steps, as pairs of place and step. A place is a settings key such as `menus.main.keys.1`."""
        for name, menu in self.menus.items():
            for place, step in menu.steps():
                yield f"{error_messages.format_key(('menus', name))}.{place}", step
        yield from self._own_steps

    def prompt_names(self) -> Iterable[str]:
        """The names of the recorded prompts in all menus and their steps, and of the fallback prompt."""
        names = [name for menu in self.menus.values() for name in menu.prompt_names()]
        names += [name for _, step in self._own_steps for name in step.prompt_names()]
        return dict.fromkeys([*names, *filter(None, [self.fallback])])

    def prompt_items(self) -> Iterable[str | SpokenPrompt]:
        """All prompts of all menus and their steps: names of recorded prompts, and spoken prompts."""
        own = (step.play for _, step in self._own_steps)
        return (*chain(*(menu.prompt_items() for menu in self.menus.values())), *chain(*own))

    def flow_needs(self) -> Iterable[str]:
        """The settings keys of all steps that transfer a call, or hand it to other actions of VoIPBIN's flow."""
        return [f"{place}.{step.leads_out}" for place, step in self._steps() if step.leads_out]

    def validate_request(
        self, variables: Mapping[str, str], query: Mapping[str, str], speech: SpeechSettings
    ) -> None:
        """Raise ValueError if a text cannot be spoken, such as when a variable has no value.

        A text that only a webhook leads to may lack values, because the webhook's answer can bring them.
        """
        values = template_values(variables, query)
        at_once = self.spoken_prompts(plan.items_before_webhooks(self.menus, self.start))
        for spoken_prompt in self.spoken_prompts(self.prompt_items()):
            if spoken_prompt in at_once or not set(spoken_prompt.say.names) - values.keys():
                spoken_prompt.validate_values(values, speech)

    def webhook_place(self, step: Step) -> str:
        """The settings key of a step's webhook. Logs and events show this key, because a URL may have a secret."""
        place = next((place for place, each in self._steps() if each is step), "")
        return f"{place}.webhook" if place else "of a webhook's answer"

    def folders(self) -> Iterable[Path]:
        """The folder of the recordings, if a step records, or asks a webhook, whose answer may record."""
        return (self.directory,) if any(step.record or step.webhook for _, step in self._steps()) else ()

    async def run(self, call: Call) -> None:
        """Run one call through the flow, from the first menu to the end."""
        await _CallFlow(self, call).run()
        await call.play(silence(_LINGER_MS))


class _CallFlow:
    """The flow of one call: its present menu, its variables, and the facts for the next webhook."""

    def __init__(self, flow: MenuHandler, call: Call) -> None:
        self._flow, self._call = flow, call
        # Variables that webhooks have set, which override variables of the stream.
        self._variables: dict[str, Any] = {}
        self._menu = flow.start
        self._facts = WebhookFacts()

    async def run(self) -> None:
        """Run the steps of the flow, from the first menu to the end, or until VoIPBIN's flow is exhausted."""
        _ = self._call.keypad  # from its first use on, the keypad detects digits
        if not await self._call.until_exhausted(self._run_steps(Step(menu=self._flow.start))):
            await self._run_steps(self._flow.on_exhausted)

    async def _run_steps(self, step: Step | None) -> None:
        clock, fast_steps = asyncio.get_running_loop().time, 0
        while step is not None:
            began = clock()
            step = await self._run_step(step)
            fast_steps = fast_steps + 1 if clock() - began < _FAST_STEP else 0
            if fast_steps > MAX_FAST_STEPS:
                log.error("menu loop detected", stream=self._call.stream.id, menu=self._menu)
                return

    async def _run_step(self, step: Step) -> Step | None:
        """Run one step, and return the next step; None at the end of the flow."""
        call = self._call
        if step.collect is not None:
            collected = await self._collect(step.collect, step.play, step)
            self._note_digits(collected, step.collect)
        elif step.play:
            await call.prompt(self._render(step.play), step.barge_in)
        if step.record is not None:
            call.keypad.drain_digits()
            recording = await step.record.record(call, self._flow.directory, modes=self._flow.modes)
            call.keypad.drain_digits()  # drops digits that were pressed during the recording
            self._facts = WebhookFacts(event="recorded", recording=recording.as_dict())
        if step.menu is not None:
            return await self._run_menu(step.menu)
        if step.webhook is not None:
            return await self._ask_webhook(step.webhook, self._flow.webhook_place(step))
        self._conclude(step)
        return None

    def _conclude(self, step: Step) -> None:
        """Have VoIPBIN hang up or transfer the call, or run the step's actions, when the stream ends."""
        try:
            if (destination := step.transfer or step.actions) is not None:
                self._call.lead_to(destination)
            else:
                self._call.hang_up()
        except CallControlError as error:
            log.error("call control failed", stream=self._call.stream.id, why=str(error))
            self._call.hang_up()

    async def _run_menu(self, name: str) -> Step:
        """Have the caller choose in a menu, and return the step that the choice leads to."""
        again: Sequence[str | SpokenPrompt] = ()
        menu, why, digits = self._flow.menus[name], "timeout", ""
        self._menu = name
        self._call.notify(EventKind.MENU_ENTERED, {"menu": name})
        for _ in range(1 + menu.retries):
            collected = await self._collect(menu.wanted, (*again, *menu.play), menu, set(menu.keys))
            digits = collected.digits
            if digits in menu.keys:
                self._facts = WebhookFacts(event="digits", digits=digits)
                return menu.keys[digits]
            if menu.collect is not None and menu.then is not None and len(digits) >= menu.collect.min:
                self._note_digits(collected, menu.collect)
                return menu.then
            why, again = ("invalid", menu.invalid) if digits or not collected.timed_out else ("timeout", ())
            private = menu.collect is not None and menu.collect.private
            self._call.notify(_MISSED[why], {"menu": name} if private else {"menu": name, "digits": digits})
            self._call.keypad.drain_digits()  # drops digits that were typed after a wrong digit
        self._facts = WebhookFacts(event=why, digits=digits)
        return menu.on_invalid if why == "invalid" else menu.on_timeout

    async def _collect(
        self, wanted: Collect, prompts: Sequence[str | SpokenPrompt], asking: Menu | Step, keys: Iterable[str] = ()
    ) -> CollectedDigits:
        """Play the prompts, and collect digits: one of `keys`, or any digits if `asking.collect` is set."""
        free = asking.collect is not None

        def enough(digits: str) -> bool:
            """Whether to end collecting: no key continues `digits`, and further digits would not be valid."""
            longer = any(key != digits and key.startswith(digits) for key in keys)
            return not longer and (digits in keys or not free)

        return await self._call.collect_digits(
            wanted.max,
            prompt=self._render(prompts) if prompts else None,
            terminator=wanted.terminator,
            timeout=wanted.timeout,
            interdigit=wanted.interdigit,
            barge_in=asking.barge_in,
            enough=enough,
            private=wanted.private,
        )

    def _note_digits(self, collected: CollectedDigits, wanted: Collect) -> None:
        """Note the collected digits for the next webhook. Too few digits count as a time-out."""
        enough = len(collected.digits) >= wanted.min
        self._facts = WebhookFacts(event="digits" if enough else "timeout", digits=collected.digits)

    async def _ask_webhook(self, url: str, place: str) -> Step:
        """Ask a webhook for the next step; if that fails, return the step `on_webhook_error`.

        `place` is the settings key of the webhook, which the log and the events about it show.
        """
        stream, facts = self._call.stream, self._facts
        self._facts = WebhookFacts()
        body = facts.model_dump() | {
            "menu": self._menu,
            "stream": stream.id,
            "path": stream.path,
            "resource": stream.event_resource,
            "variables": {**stream.variables, **self._variables},
        }
        try:
            asked_at = self._call.now
            answer = await self._call.ask(url, body, self._flow.webhook_timeout)
            if (seconds := self._call.now - asked_at) >= _SLOW_ANSWER:
                slow = {"menu": self._menu, "webhook": place, "seconds": round(seconds, 2)}
                self._call.notify(EventKind.WEBHOOK_SLOW, slow)
            return await self._parse_answer(answer, url)
        except (PeerError, PromptError, ValueError) as error:
            why = explain(error)
            failure = {"menu": self._menu, "webhook": place, "why": why}
            log.error("webhook failed", stream=stream.id, path=stream.path, **failure)
            self._call.notify(EventKind.WEBHOOK_FAILED, failure)
            return self._flow.on_webhook_error

    async def _parse_answer(self, answer: Any, url: str) -> Step:
        """The step in a webhook's answer. ValueError or PromptError if it is invalid, or cannot be played."""
        step = WebhookAnswer.model_validate(answer)
        if (step.collect is not None or step.record is not None) and not step.exits:
            # The digits or the recording that this answer asks for are sent to the same webhook.
            step = step.model_copy(update={"webhook": url})
        for problem in plan.flow_problems(self._flow.menus, self._flow.start, [("the answer", step)]):
            raise ValueError(problem)
        try:
            if (destination := step.transfer or step.actions) is not None:
                self._call.require_control(destination)
        except CallControlError as error:
            raise ValueError(str(error)) from error
        for name in step.prompt_names():
            self._call.prompts.get(name)
        speech = self._call.speech.settings
        for spoken_prompt in self._flow.spoken_prompts(step.play):
            # The text is prepared in a thread, because the first text of a language loads data for a while.
            await asyncio.to_thread(spoken_prompt.prepare, speech)
            unfit = voice_problems(spoken_prompt.need, speech)
            # An answer is invalid if none of the TTS engines can speak its text.
            if len(unfit) == len(spoken_prompt.engine or speech.engine):
                raise ValueError(unfit[0])
            spoken_prompt.validate_values(self._values(step.variables), speech)
        self._variables |= step.variables
        return step

    def _values(self, more: Mapping[str, Any]) -> Mapping[str, str]:
        """The values of a text's variables. `more` and values from webhooks override values of the stream."""
        stream = self._call.stream
        said = {key: str(value) for key, value in {**self._variables, **more}.items() if is_sayable(value)}
        return {**template_values(stream.variables, stream.query), **said}

    def _render(self, prompt_items: Sequence[str | SpokenPrompt]) -> Playlist:
        """A playlist of prompts. EngineError if a text cannot be spoken, and there is no fallback prompt."""
        runs: list[Segment | Iterable[Segment]] = []
        for item in prompt_items:
            try:
                runs += self._flow.render((item,), self._call, self._values({}))
            except ValueError as error:
                runs.append(self._fallback_for(str(error)))
        return Playlist(Repeated(runs, 1))

    def _fallback_for(self, why: str) -> Segment:
        """The fallback prompt for a text that cannot be spoken; EngineError if no fallback is set."""
        stream = self._call.stream
        self._call.notify(EventKind.SPEECH_FAILED, {"why": why})
        if self._flow.fallback is None:
            raise EngineError(f'a text cannot be said in menu "{self._menu}": {why}')
        log.error("speech failed", stream=stream.id, path=stream.path, menu=self._menu, why=why)
        return self._call.prompts.get(self._flow.fallback)
