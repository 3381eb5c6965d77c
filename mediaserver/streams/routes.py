"""Paths: from a configured table, a URL's variables and its query to a handler and a way to speak."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from aiohttp.web import UrlDispatcher
from pydantic import SecretStr, ValidationError

from mediaserver import handlers, mistakes
from mediaserver.errors import ConfigError, RefusedError, one_line
from mediaserver.handlers.base import Handler
from mediaserver.playout.catalogue import Catalogue
from mediaserver.secrets import reveal_all, reveal_fields, secret_fields
from mediaserver.session.stream import CREDENTIALS, peer_variables
from mediaserver.settings import PathSettings, Settings
from mediaserver.settings.speech import SpeechSettings
from mediaserver.speech.available import Need
from mediaserver.speech.template import MissingValuesError
from mediaserver.streams.access import Access
from mediaserver.streams.filling import VARIABLE, fill, settled, texts, without
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import (
    Encapsulation,
    Encoding,
    Framing,
    RtpPayload,
    WireSettings,
    first_encoding,
)

PATTERN_VARIABLE = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")  # in a path, aiohttp's syntax
_WIRE_KEYS: dict[str, type[Encapsulation] | type[Framing] | type[RtpPayload]] = {
    "encapsulation": Encapsulation,
    "framing": Framing,
    "rtp_payload": RtpPayload,
}
_MAX_MADE = 256  # handlers kept, of a route whose variables make them differ
HANDLER_KEYS = {"repeat"}  # what a URL may set of a handler that has it
WIRE_KEYS = set(_WIRE_KEYS)  # and of how to speak
QUERY_KEYS = WIRE_KEYS | HANDLER_KEYS
Giving = Callable[[Sequence[str]], str]  # how values of so many variables are given, for people

BAD_QUERY, BAD_TEXT, UNKNOWN_PROMPT = "bad-query", "bad-text", "unknown-prompt"  # why a request is refused


def in_a_query(names: Sequence[str]) -> str:
    """How a URL gives values."""
    return f"a URL has {'it' if len(names) == 1 else 'them'} as ?{'&'.join(f'{name}=…' for name in names)}"


@dataclass(frozen=True)
class Route:
    """One configured path."""

    pattern: str
    handler: type[Handler]
    settings: dict[str, Any]  # the handler's, variables not yet filled in
    wire: WireSettings
    access: Access = field(default_factory=Access)
    max_streams: int = 10_000
    time_limit: float = 0.0  # seconds; 0 for ever
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    _made: dict[Any, Handler] = field(default_factory=dict, compare=False, repr=False)  # for callers so far

    @cached_property
    def variables(self) -> list[str]:
        """The variables its settings use."""
        used = {name for text in texts(self.filled) for name in VARIABLE.findall(text)}
        return sorted(used - (self.handler.own_variables - set(PATTERN_VARIABLE.findall(self.pattern))))

    @cached_property
    def filled(self) -> Any:
        """The settings that variables are filled into before the handler has them."""
        return without(self.settings, self.handler.template_settings)

    def variables_of(self, query: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
        """The variables of a stream: what the URL's query says, below those that are known otherwise.

        They are values for texts, webhooks and applications. Settings are never filled in from a query.
        """
        ours = CREDENTIALS | QUERY_KEYS | self.handler.query_settings
        named = {key: value for key, value in query.items() if key not in ours}
        return {**peer_variables(named, path=self.pattern), **variables}

    def wire_of(self, query: Mapping[str, str]) -> WireSettings:
        """How to speak to one caller; RefusedError 400 on a value that does not exist."""
        given: dict[str, Any] = {}
        for key, kind in _WIRE_KEYS.items():
            if key in query:
                try:
                    given[key] = kind(query[key])
                except ValueError:
                    raise RefusedError(
                        400, f'{key}="{query[key]}" is none of {", ".join(kind)}', BAD_QUERY
                    ) from None
        return replace(self.wire, **given) if given else self.wire

    def handler_of(
        self,
        variables: Mapping[str, str],
        query: Mapping[str, str],
        catalogue: Catalogue,
        giving: Giving = in_a_query,
    ) -> Handler:
        """The handler for one caller. `giving` says how values that are missing may be given.

        RefusedError: 400 where the query sets what it cannot, or a value of a text is missing or none, 404 where
        the path names what is not there.
        """
        asked = {key: query[key] for key in sorted(HANDLER_KEYS & query.keys())}
        key = tuple(variables.get(name) for name in self.variables), tuple(asked.items()), catalogue.version
        handler = self._made.get(key)
        if handler is None:
            handler = self._made_for(variables, asked)
            missing = handler.problems(catalogue)
            if missing:
                raise RefusedError(404, missing[0], UNKNOWN_PROMPT)
            if len(self._made) >= _MAX_MADE:
                self._made.clear()
            self._made[key] = handler
        try:
            handler.check(variables, query, self.speech)
        except MissingValuesError as error:
            raise RefusedError(400, f"{error}: {giving(error.names)}", BAD_TEXT) from error
        except ValueError as error:
            raise RefusedError(400, str(error), BAD_TEXT) from error
        return handler

    def _made_for(self, variables: Mapping[str, str], asked: Mapping[str, str]) -> Handler:
        for key in asked.keys() - self.handler.query_settings:
            raise RefusedError(400, f"{key} is not for {self.pattern}, which does not repeat anything", BAD_QUERY)
        for name in self.variables:
            if set("{}") & set(variables.get(name, "")):  # it would be read as a template of ours
                raise RefusedError(404, f"{name} has a brace in it", UNKNOWN_PROMPT)
        settings = fill(self.settings, variables, self.handler.template_settings) | dict(asked)
        try:
            return self.handler.model_validate(settings)
        except ValidationError as error:
            line = mistakes.problems("", error, self.handler)[0].removeprefix(": ")
            by_query = str(next(iter(error.errors()[0]["loc"]), "")) in asked
            raise (
                RefusedError(400, line, BAD_QUERY) if by_query else RefusedError(404, line, UNKNOWN_PROMPT)
            ) from error


def build(settings: Settings, where: str) -> tuple[list[Route], list[str]]:
    """The routes of a configuration, and what is wrong with the paths that are none."""
    routes: list[Route] = []
    tokens, problems = reveal_all(settings.defaults.tokens, f"{where}: defaults.tokens")
    shapes: dict[str, str] = {}
    for pattern, path in settings.paths.items():
        first = shapes.setdefault(VARIABLE.sub("{}", pattern), pattern)
        if first != pattern:
            problems.append(f'{where}: paths."{pattern}": is the same as "{first}", which comes first')
            continue
        try:
            routes.append(_route(pattern, path, settings, tokens, where))
        except ConfigError as error:
            problems += error.problems
    return routes, problems


def handler_secrets(settings: Settings) -> Iterator[SecretStr]:
    """The secrets that paths' handlers have, or the places of them."""
    for path in settings.paths.values():
        with contextlib.suppress(ValueError):  # no such handler: told elsewhere
            yield from secret_fields(handlers.find(path.handler), path.handler_settings).values()


def missing_prompts(routes: Iterable[Route], catalogue: Catalogue, where: str) -> list[str]:
    """What paths lack in the catalogue, as far as no variable of the URL names it."""
    found = []
    for route in routes:
        for handler in _as_far_as_known(route):
            problems = handler.problems(catalogue, lambda name: not VARIABLE.search(name))
            found += [f'{where}: paths."{route.pattern}": {problem}' for problem in problems]
    return found


def needs(routes: Iterable[Route]) -> set[Need]:
    """The engines that paths need, as far as no variable of the URL names them."""
    return {
        need._replace(voice="") if VARIABLE.search(need.voice) else need
        for route in routes
        for handler in _as_far_as_known(route)
        for need in handler.engines()
    }


def first_encodings(routes: Iterable[Route]) -> Sequence[Encoding]:
    """The encodings that callers of these routes hear first, as long as their URLs do not ask for others."""
    encodings = (first_encoding(route.wire) for route in routes)
    return list({encoding.name: encoding for encoding in encodings}.values())


def _route(pattern: str, path: PathSettings, settings: Settings, tokens: tuple[str, ...], where: str) -> Route:
    defaults = settings.defaults
    place = one_line(f'{where}: paths."{pattern}"')
    if not pattern.startswith("/"):
        raise ConfigError([f"{place}: a path begins with /"])
    if "#" in pattern or "?" in PATTERN_VARIABLE.sub("", pattern):
        raise ConfigError([f"{place}: a path has no query and no fragment"])
    try:
        UrlDispatcher().add_resource(pattern)
    except (ValueError, OverflowError, RecursionError) as error:
        raise ConfigError([f"{place}: is not a path pattern such as /play/{{name}}"]) from error
    try:
        handler = handlers.find(path.handler)
    except ValueError as error:
        raise ConfigError([f"{place}.handler: {error}"]) from error
    wire = WireSettings(
        Encapsulation(path.encapsulation or defaults.encapsulation),
        Framing(path.framing or defaults.framing),
        RtpPayload(path.rtp_payload or defaults.rtp_payload),
        InboundCodec(path.inbound or defaults.inbound),
        defaults.lead if path.lead is None else path.lead,
    )
    missing: list[str] = []
    if path.tokens is not None:
        tokens, missing = reveal_all(path.tokens, f"{place}: tokens")
    revealed, untold = reveal_fields(handler, path.handler_settings, place)
    missing += untold
    route = Route(
        pattern,
        handler,
        path.handler_settings | revealed,
        wire,
        Access(defaults.allow if path.allow is None else path.allow, tokens),
        path.max_streams or defaults.max_streams,
        defaults.time_limit if path.time_limit is None else path.time_limit,
        settings.speech,
    )
    unknown = set(route.variables) - set(PATTERN_VARIABLE.findall(pattern))
    problems = missing + [
        f"{place}: {key}: uses {{{name}}}, which the path does not have"
        for key, value in route.filled.items()
        for name in sorted(unknown)
        if any(f"{{{name}}}" in text for text in texts(value))
    ]
    problems += [
        f"{place}: {key}: is the same for all callers: no {{variable}} is filled in there"
        for key in sorted(handler.fixed_settings & route.settings.keys())
        if any(map(VARIABLE.search, texts(route.settings[key])))
    ]
    problems = problems or _fixed_problems(route, place)
    if problems:
        raise ConfigError(problems)
    return route


def _fixed_problems(route: Route, place: str) -> list[str]:
    """What is wrong with the settings that no variable fills in."""
    try:
        route.handler.model_validate(route.settings)
    except ValidationError as error:
        problems = [
            line
            for details, lines in mistakes.problems_by_error(place, error, route.handler)
            for line in lines
            if not _may_be_filled(route, details["loc"], line.removeprefix(place))
        ]
        if problems:
            return problems
    try:
        for handler in _as_far_as_known(route):
            handler.prepare(route.speech)
    except ValueError as error:
        return [f"{place}: {error}"]
    return []


def _as_far_as_known(route: Route) -> Iterator[Handler]:
    """A route's handler, or what it is without what a variable of the URL fills in; none where that cannot be."""
    templates = {key: route.settings[key] for key in route.handler.template_settings & route.settings.keys()}
    for settings in (route.settings, settled(route.settings) | templates):
        with contextlib.suppress(ValidationError):
            yield route.handler.model_validate(settings)
            return


def _may_be_filled(route: Route, location: tuple[int | str, ...], line: str) -> bool:
    """Whether what is wrong there is only that a variable of the URL is not filled in yet."""
    names = [f"{{{name}}}" for name in route.variables]
    value: Any = route.settings
    for key in location:
        if isinstance(value, dict) and key in value:
            value = value[key]
    if isinstance(value, dict):  # of a table as a whole: only what names the variable
        return any(name in line for name in names)
    return any(name in text for text in texts(value) for name in names)
