"""A route is a configured path: it makes the handler and the wire format for each caller who dials the path."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from mediaserver.call import Call
from mediaserver.call.stream import CREDENTIALS, peer_variables
from mediaserver.config import error_messages
from mediaserver.config.error_messages import KeyPath
from mediaserver.config.settings import PathSettings
from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.config.suggestions import suggest_key
from mediaserver.config.validation import Validated, validate_table
from mediaserver.errors import RefusalReason, RefusedError, TooLongError, did_you_mean
from mediaserver.handlers.base import Handler
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing.access import Access
from mediaserver.routing.filling import VARIABLE, UnsafeVariableError, fill_variables, texts_in, without_keys
from mediaserver.routing.patterns import PATTERN_VARIABLE
from mediaserver.speech.engines.requirements import EngineKind, can_serve, requirement_problems
from mediaserver.speech.text.languages import find_language
from mediaserver.speech.text.template import MissingValuesError
from mediaserver.wire.encapsulation import Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.voipbin.actions import Action

_WIRE_KEYS: dict[str, type[Encapsulation] | type[Framing] | type[RtpPayload]] = {
    "encapsulation": Encapsulation,
    "framing": Framing,
    "rtp_payload": RtpPayload,
}
_SHOWN = 50  # the most characters that an error message shows of a value from a URL
_MAX_HANDLERS = 256  # the number of handlers, kept for reuse, at which a route drops them all
LANGUAGE = "language"  # the key of the caller's language: a variable, and a setting of handlers that have one
HANDLER_KEYS = {"repeat", LANGUAGE}  # settings of a handler that a URL's query may set, if the handler has them
WIRE_KEYS = set(_WIRE_KEYS)  # the settings of the wire format that a URL's query may set
QUERY_KEYS = WIRE_KEYS | HANDLER_KEYS  # all keys with which a URL's query may change settings
# A function that takes names of variables, and returns a text that tells a caller how to give their values.
DescribeInput = Callable[[Sequence[str]], str]


def describe_query(names: Sequence[str]) -> str:
    """Return a text that tells a caller how to give the values of these variables in a URL's query."""
    return f"add ?{'&'.join(f'{name}=…' for name in names)} to the URL"


@dataclass(frozen=True)
class Route:
    """One configured path, with its handler, settings, wire format, access rules and limits."""

    pattern: str  # the path as configured, such as `/play/{prompt}`
    handler: type[Handler]
    settings: dict[str, Any]  # the handler's settings, with their `{variables}` not filled in
    wire: WireSettings
    access: Access = field(default_factory=Access)
    max_streams: int = 10_000  # the maximum number of streams on this path at the same time
    time_limit: float = 0.0  # the maximum duration of a stream in seconds; 0 for no limit
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    source: str = ""  # the file or the environment variable that sets the path
    recognition: RecognitionSettings = field(default_factory=RecognitionSettings)
    flow: bool = False  # whether VoIPBIN's action `fetch` may ask for the path
    # The actions that answer VoIPBIN's `fetch` for a call that can have no media stream.
    flow_full: tuple[Action, ...] = ()
    # The handlers made for earlier callers, by the values of variables and query keys, and by the version of the
    # prompts' snapshot that the handlers use.
    _handlers: dict[Any, Handler] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def variables(self) -> list[str]:
        """The names of the variables that the route's settings use, and whose values come from the dialled URL."""
        used = {name for text in texts_in(self.templated_settings) for name in VARIABLE.findall(text)}
        return sorted(used - (self.handler.own_variables - set(PATTERN_VARIABLE.findall(self.pattern))))

    @cached_property
    def templated_settings(self) -> Any:
        """The handler's settings in which the route fills in `{variables}`, before it makes the handler."""
        return without_keys(self.settings, self.handler.template_settings)

    def stream_variables(self, query: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
        """The variables of a stream, which texts, webhooks and applications use.

        They are the parameters of the URL's query, overridden by `variables`. Values of a query are never filled
        into a handler's settings. Parameters that change settings are left out, except the caller's language,
        which texts and webhooks may use.
        """
        reserved = (CREDENTIALS | QUERY_KEYS | self.handler.query_settings) - {LANGUAGE}
        named = {key: value for key, value in query.items() if key not in reserved}
        return {**peer_variables(named, path=self.pattern), **variables}

    @cached_property
    def validated(self) -> Validated:
        """The handler, as far as it is known before a URL fills in variables, and the mistakes in its settings.

        A mistake that may disappear when a URL fills in variables is left out.
        """
        return validate_table(self.handler, self.settings, self._hint, self._depends_on_variable)

    @contextlib.contextmanager
    def known_handler(self) -> Iterator[Handler]:
        """Yield the handler, as far as it is known before a URL fills in variables, to ask what the handler needs.

        If nothing of the handler is known, a stand-in is yielded that needs nothing.
        """
        known = self.validated
        if known.table is None:
            yield _UnknownHandler()
        elif known.complete:
            yield known.table
        else:
            # Some settings of an incomplete handler are None. Code in the `with` block that reads such a setting
            # may therefore raise an error.
            with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
                yield known.table

    def _hint(self, place: KeyPath, near: str) -> str:
        # The misspelt key may be meant for a setting of the handler, or for a setting that every path has.
        if len(place) == 1:
            keys = (*self.handler.model_fields, *PathSettings.model_fields)
            near = did_you_mean(str(place[-1]), keys) or near
        return near or suggest_key(("paths", self.pattern, *place), "")

    def _depends_on_variable(self, place: KeyPath, text: str) -> bool:
        """Whether a mistake in the setting at `place` may disappear once a URL's variables are filled in."""
        names = [f"{{{name}}}" for name in self.variables]
        value: Any = self.settings
        for key in place:
            inside = isinstance(value, dict) and key in value
            inside = inside or (isinstance(value, list) and isinstance(key, int) and key < len(value))
            value = value[key] if inside else None
        if isinstance(value, dict | None):
            # A URL's variables are filled into texts, never into a table. Therefore, a mistake that concerns a
            # whole table may disappear only if the message about the mistake names a variable.
            return any(name in text for name in names)
        return any(name in each for each in texts_in(value) for name in names)

    def wire_settings(self, query: Mapping[str, str]) -> WireSettings:
        """The wire format for one caller; RefusedError 400 if the URL's query names an unknown wire format."""
        given: dict[str, Any] = {}
        for key, kind in _WIRE_KEYS.items():
            if key in query:
                try:
                    given[key] = kind(query[key])
                except ValueError:
                    rule = f"is none of {', '.join(kind)}"
                    raise RefusedError(
                        RefusalReason.BAD_QUERY,
                        f'{key}="{query[key]}" {rule}',
                        logged=f"{key}: the value in the URL {rule}",
                    ) from None
        return replace(self.wire, **given) if given else self.wire

    def build_handler(
        self,
        variables: Mapping[str, str],
        query: Mapping[str, str],
        snapshot: PromptSnapshot,
        describe_input: DescribeInput = describe_query,
    ) -> Handler:
        """Return the handler for one caller; callers with the same variables and query share one handler.

        `describe_input` makes the text that tells a caller how to give the values of variables that are missing.

        Raises RefusedError: 400 if the query sets a key that it may not set, or if the value of a variable in a
        setting is missing or wrong; 404 if the URL names a prompt, a tone or another resource that does not exist.
        """
        asked = self._asked(query)
        key = tuple(variables.get(name) for name in self.variables), tuple(asked.items()), snapshot.version
        handler = self._handlers.get(key)
        if handler is None:
            handler = self._validated_handler(variables, asked)
            missing = handler.missing_prompts(snapshot)
            if missing:
                raise RefusedError(RefusalReason.UNKNOWN_PROMPT, missing[0])
            if len(self._handlers) >= _MAX_HANDLERS:
                self._handlers.clear()
            self._handlers[key] = handler
        self._validate_request(handler, variables, query, describe_input)
        return handler

    def validate_call(self, variables: Mapping[str, str], query: Mapping[str, str]) -> None:
        """Raise the RefusedError with which a call would be refused, whatever prompts there are."""
        handler = self._validated_handler(variables, self._asked(query))
        self._validate_request(handler, variables, query, describe_query)

    def _asked(self, query: Mapping[str, str]) -> dict[str, str]:
        """The part of a query that changes settings of the handler."""
        keys = HANDLER_KEYS if LANGUAGE in self.handler.query_settings else HANDLER_KEYS - {LANGUAGE}
        return {key: query[key] for key in sorted(keys & query.keys())}

    def _validate_request(
        self,
        handler: Handler,
        variables: Mapping[str, str],
        query: Mapping[str, str],
        describe_input: DescribeInput,
    ) -> None:
        try:
            handler.validate_request(variables, query, self.speech)
        except MissingValuesError as error:
            raise RefusedError(RefusalReason.BAD_TEXT, f"{error}: {describe_input(error.names)}") from error
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_TEXT, str(error)) from error

    def _validated_handler(self, variables: Mapping[str, str], asked: Mapping[str, str]) -> Handler:
        for key in asked.keys() - self.handler.query_settings:
            why = f"{key} is not for {self.pattern}, which does not repeat anything"
            raise RefusedError(RefusalReason.BAD_QUERY, why)
        for name in self.variables:
            # Refuse braces, because text in braces would be treated as another variable.
            if set("{}") & set(value := variables.get(name, "")):
                why = f'the URL has "{value[:_SHOWN]}" in place of {{{name}}}'
                hint = "put the value itself there, without braces"
                raise RefusedError(RefusalReason.UNKNOWN_PROMPT, f"{why}: {hint}")
        try:
            settings = fill_variables(self.settings, variables, self.handler.template_settings) | dict(asked)
        except UnsafeVariableError as error:
            raise RefusedError(RefusalReason.BAD_VARIABLE, str(error)) from error
        try:
            handler = self.handler.model_validate(settings)
        except ValidationError as error:
            line = error_messages.error_lines("", error, self.handler)[0].removeprefix(": ")
            key = str(next(iter(error.errors()[0]["loc"]), ""))
            too_long = _is_only_too_long(error)
        else:
            if LANGUAGE in asked:
                self._validate_language(handler)
            return handler
        # RefusedError is raised after the `except` block, so that its context is no ValidationError. The garbage
        # collector cannot traverse a ValidationError, so the peer's connection would stay in memory.
        if key in asked:
            raise RefusedError(RefusalReason.BAD_QUERY, line, logged=f"{key}: the value in the URL is not valid")
        raise RefusedError(RefusalReason.TOO_LONG if too_long else RefusalReason.UNKNOWN_PROMPT, line)

    def _validate_language(self, handler: Handler) -> None:
        """Raise RefusedError 400 if the handler's engines cannot work in the language that a URL sets."""
        for need in handler.engines():
            if need.kind is EngineKind.LLM:
                continue  # language models have no setting of a language
            try:
                if need.kind is EngineKind.TTS and need.language:
                    find_language(need.language)
                engines = self.speech, self.recognition, ChatSettings()
                why = "" if can_serve(need, *engines) else requirement_problems(need, *engines)[0]
            except ValueError as error:
                why = str(error)
            if why:
                logged = "language: an engine does not support the language that the URL names"
                raise RefusedError(RefusalReason.BAD_QUERY, f"language: {why}", logged=logged)


def _is_only_too_long(error: ValidationError) -> bool:
    """Whether a setting's value is invalid only because it is longer than allowed."""
    first = error.errors()[0]
    return first["type"] == "string_too_long" or isinstance(first.get("ctx", {}).get("error"), TooLongError)


class _UnknownHandler(Handler):
    """A stand-in for a handler of which no setting is known; it needs no prompts and no engines."""

    async def run(self, call: Call) -> None:
        raise NotImplementedError
