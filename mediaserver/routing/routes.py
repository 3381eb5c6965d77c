"""Paths: from a configured table, a URL's variables and its query to a handler and a way to speak."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from secrets import token_urlsafe
from typing import Any

from pydantic import SecretStr, ValidationError

from mediaserver.call import Call
from mediaserver.call.stream import CREDENTIALS, peer_variables
from mediaserver.config import mistakes
from mediaserver.config.examination import Examined, examine
from mediaserver.config.misplaced_keys import elsewhere
from mediaserver.config.mistakes import Place, key_of
from mediaserver.config.settings import PathSettings, Settings
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import RefusalReason, RefusedError, TooLongError, did_you_mean, one_line
from mediaserver.handlers import table as handler_table
from mediaserver.handlers.base import Handler
from mediaserver.playout.prompts.snapshot import Catalogue
from mediaserver.routing import patterns
from mediaserver.routing.access import Access
from mediaserver.routing.filling import VARIABLE, MisplacedError, fill, open_urls, texts, without
from mediaserver.routing.patterns import PATTERN_VARIABLE
from mediaserver.speech.engines.requirements import EngineRequirement
from mediaserver.speech.text.template import MissingValuesError
from mediaserver.support.credentials import reveal_all, reveal_fields, secret_fields
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import (
    Encapsulation,
    Encoding,
    Framing,
    RtpPayload,
    WireSettings,
    first_encoding,
)

_WIRE_KEYS: dict[str, type[Encapsulation] | type[Framing] | type[RtpPayload]] = {
    "encapsulation": Encapsulation,
    "framing": Framing,
    "rtp_payload": RtpPayload,
}
_SHOWN = 50  # characters of a URL that are told
_MAX_MADE = 256  # handlers kept, of a route whose variables make them differ
HANDLER_KEYS = {"repeat"}  # what a URL may set of a handler that has it
WIRE_KEYS = set(_WIRE_KEYS)  # and of how to speak
QUERY_KEYS = WIRE_KEYS | HANDLER_KEYS
Giving = Callable[[Sequence[str]], str]  # how values of so many variables are given, for people

# Why a request is refused.


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
    source: str = ""  # what says it: a file, or an environment variable
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

    @cached_property
    def examined(self) -> Examined:
        """Its handler as far as it is known without a URL, and what is wrong with it whatever the URL."""
        return examine(self.handler, self.settings, self._hint, self._settles_later)

    @contextlib.contextmanager
    def as_far_as_known(self) -> Iterator[Handler]:
        """Its handler as far as it is known, to be asked what it needs; none that has nothing to say."""
        known = self.examined
        if known.table is None:
            yield _Nothing()
        elif known.complete:
            yield known.table
        else:
            with contextlib.suppress(AttributeError, TypeError, ValueError):  # what it lacks may be asked for
                yield known.table

    def _hint(self, place: Place, near: str) -> str:
        own = did_you_mean(str(place[-1]), PathSettings.model_fields) if len(place) == 1 else ""
        return near or own or elsewhere(("paths", self.pattern, *place), "")

    def _settles_later(self, place: Place, text: str) -> bool:
        """Whether what is wrong there is only that a variable of the URL is not filled in yet."""
        names = [f"{{{name}}}" for name in self.variables]
        value: Any = self.settings
        for key in place:
            inside = isinstance(value, dict) and key in value
            inside = inside or (isinstance(value, list) and isinstance(key, int) and key < len(value))
            value = value[key] if inside else None
        if isinstance(value, dict | None):  # of a table as a whole: only what names the variable
            return any(name in text for name in names)
        return any(name in each for each in texts(value) for name in names)

    def wire_of(self, query: Mapping[str, str]) -> WireSettings:
        """How to speak to one caller; RefusedError 400 on a value that does not exist."""
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
                        logged=f"{key}: what the URL says {rule}",
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
                raise RefusedError(RefusalReason.UNKNOWN_PROMPT, missing[0])
            if len(self._made) >= _MAX_MADE:
                self._made.clear()
            self._made[key] = handler
        try:
            handler.check(variables, query, self.speech)
        except MissingValuesError as error:
            raise RefusedError(RefusalReason.BAD_TEXT, f"{error}: {giving(error.names)}") from error
        except ValueError as error:
            raise RefusedError(RefusalReason.BAD_TEXT, str(error)) from error
        return handler

    def _made_for(self, variables: Mapping[str, str], asked: Mapping[str, str]) -> Handler:
        for key in asked.keys() - self.handler.query_settings:
            raise RefusedError(
                RefusalReason.BAD_QUERY, f"{key} is not for {self.pattern}, which does not repeat anything"
            )
        for name in self.variables:
            if set("{}") & set(value := variables.get(name, "")):  # it would be read as a template of ours
                told = f'the URL has "{value[:_SHOWN]}" in place of {{{name}}}'
                raise RefusedError(
                    RefusalReason.UNKNOWN_PROMPT, f"{told}: put the value itself there, without braces"
                )
        try:
            settings = fill(self.settings, variables, self.handler.template_settings) | dict(asked)
        except MisplacedError as error:
            raise RefusedError(RefusalReason.BAD_VARIABLE, str(error)) from error
        try:
            return self.handler.model_validate(settings)
        except ValidationError as error:
            line = mistakes.problems("", error, self.handler)[0].removeprefix(": ")
            key = str(next(iter(error.errors()[0]["loc"]), ""))
            too_much = _asks_too_much(error)
        # Not from the error: garbage collection cannot see through it, and it would hold the peer's connection.
        if key in asked:
            raise RefusedError(RefusalReason.BAD_QUERY, line, logged=f"{key}: what the URL says is no value of it")
        raise RefusedError(RefusalReason.TOO_LONG if too_much else RefusalReason.UNKNOWN_PROMPT, line)


def _asks_too_much(error: ValidationError) -> bool:
    """Whether what is wrong is only that there is more of it than there may be."""
    first = error.errors()[0]
    return first["type"] == "string_too_long" or isinstance(first.get("ctx", {}).get("error"), TooLongError)


class _Nothing(Handler):
    """In place of a handler of which nothing is known."""

    async def run(self, call: Call) -> None:
        raise NotImplementedError


def build(settings: Settings, where: str) -> tuple[list[Route], list[str]]:
    """The routes of a configuration, and all that is wrong with its paths. A route may be wrong and yet be had."""
    routes: list[Route] = []
    tokens, problems = _tokens_of(settings.defaults.tokens, _place(settings, where, ("defaults", "tokens")))
    shapes: dict[str, str] = {}
    for pattern, path in settings.paths.items():
        wrong = patterns.problems(pattern, _place(settings, where, ("paths", pattern)))
        first = shapes.setdefault(VARIABLE.sub("{}", pattern), pattern)
        if first != pattern:
            place = _place(settings, where, ("paths", pattern))
            wrong.append(f'{place}: is the same as "{first}", which comes first')
        route, found = _route(pattern, path, settings, tokens, where)
        problems += [*wrong, *found]
        if route is not None and not wrong:
            routes.append(route)
    return routes, list(map(one_line, problems))


def handler_secrets(settings: Settings) -> Iterator[SecretStr]:
    """The secrets that paths' handlers have, or the places of them."""
    for path in settings.paths.values():
        with contextlib.suppress(ValueError):  # no such handler: told elsewhere
            yield from secret_fields(handler_table.find(path.handler), path.handler_settings).values()


def missing_prompts(routes: Iterable[Route], catalogue: Catalogue, where: str) -> list[str]:
    """What paths lack in the catalogue, as far as no variable of the URL names it."""
    found = []
    for route in routes:
        with route.as_far_as_known() as handler:
            place = f'{route.source or where}: paths."{route.pattern}"'
            for name in dict.fromkeys(handler.prompt_names()):
                if not VARIABLE.search(name):
                    key = next(_keys_with(name, route.settings), "")
                    found += [f"{place}: {key}{problem}" for problem in handler.problems(catalogue, name.__eq__)]
    return found


def _keys_with(prompt: str, value: Any, place: Place = ()) -> Iterator[str]:
    """The keys that name a prompt, `menus.main.play: `; "" for `prompt` and `prompts`, which need not be told."""
    if place and value == prompt:
        yield "" if place[0] in ("prompt", "prompts") else f"{key_of(place)}: "
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _keys_with(prompt, each, (*place, key))


def needs(routes: Iterable[Route]) -> set[EngineRequirement]:
    """The engines that paths need, as far as no variable of the URL names them."""
    found: set[EngineRequirement] = set()
    for route in routes:
        with route.as_far_as_known() as handler:
            found |= {
                need._replace(voice="") if VARIABLE.search(need.voice) else need for need in handler.engines()
            }
    return found


def first_encodings(routes: Iterable[Route]) -> Sequence[Encoding]:
    """The encodings that callers of these routes hear first, as long as their URLs do not ask for others."""
    encodings = (first_encoding(route.wire) for route in routes)
    return list({encoding.name: encoding for encoding in encodings}.values())


def _place(settings: Settings, where: str, place: Place) -> str:
    """A place in a message, behind what says it."""
    return one_line(f"{settings.source(where, place)}: {key_of(place)}")


def _tokens_of(settings: Sequence[SecretStr], place: str) -> tuple[tuple[str, ...], list[str]]:
    """Tokens, and what is wrong with those that are not there. A path that is to have some is never open."""
    tokens, problems = reveal_all(settings, place)
    return (tokens if tokens or not settings else (token_urlsafe(),)), problems


def _route(
    pattern: str, path: PathSettings, settings: Settings, tokens: tuple[str, ...], where: str
) -> tuple[Route | None, list[str]]:
    """A path's route, None where it has no handler, and what is wrong with it."""
    defaults = settings.defaults
    place = _place(settings, where, ("paths", pattern))
    try:
        handler = handler_table.find(path.handler)
    except ValueError as error:
        return None, [f"{place}.handler: {error}"]
    wire = WireSettings(
        Encapsulation(path.encapsulation or defaults.encapsulation),
        Framing(path.framing or defaults.framing),
        RtpPayload(path.rtp_payload or defaults.rtp_payload),
        InboundCodec(path.inbound or defaults.inbound),
        defaults.lead if path.lead is None else path.lead,
    )
    problems: list[str] = []
    if path.tokens is not None:
        tokens, problems = _tokens_of(path.tokens, f"{place}: tokens")
    revealed, untold = reveal_fields(handler, path.handler_settings, place)
    route = Route(
        pattern,
        handler,
        path.handler_settings | revealed,
        wire,
        Access(defaults.allow if path.allow is None else path.allow, tokens),
        path.max_streams or defaults.max_streams,
        defaults.time_limit if path.time_limit is None else path.time_limit,
        settings.speech,
        settings.source(where, ("paths", pattern)),
    )
    problems += [*untold, *_variable_problems(route, place)]
    for mistake in route.examined.mistakes:
        by = settings.source(where, ("paths", pattern, *mistake.place))
        problems.append(mistake.line(one_line(f"{by}: {key_of(('paths', pattern))}")))
    try:
        with route.as_far_as_known() as known:
            known.prepare(settings.speech)
    except ValueError as error:
        problems.append(f"{place}: {error}")
    return route, problems


def _variable_problems(route: Route, place: str) -> list[str]:
    """Variables that settings use, and the path does not have, or that nothing fills in."""
    unknown = set(route.variables) - set(PATTERN_VARIABLE.findall(route.pattern))
    problems = [
        f"{place}: {key}: uses {{{name}}}, which the path does not have"
        for key, value in route.filled.items()
        for name in sorted(unknown)
        if any(f"{{{name}}}" in text for text in texts(value))
    ]
    problems += [f"{place}: {key_of(at)}: {why}" for at, why in open_urls(route.filled)]
    return problems + [
        f"{place}: {key}: is the same for all callers: no {{variable}} is filled in there"
        for key in sorted(route.handler.fixed_settings & route.settings.keys())
        if any(map(VARIABLE.search, texts(route.settings[key])))
    ]
