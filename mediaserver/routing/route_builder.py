"""Builds the routes of a configuration, and lists all mistakes in its paths."""

from collections.abc import Sequence
from secrets import token_urlsafe

from pydantic import SecretStr

from mediaserver.config.error_messages import KeyPath, format_key
from mediaserver.config.settings import PathSettings, Settings
from mediaserver.errors import single_line
from mediaserver.handlers import table as handler_table
from mediaserver.handlers.common import user_handlers
from mediaserver.routing import patterns
from mediaserver.routing.access import Access
from mediaserver.routing.filling import VARIABLE, texts_in, urls_with_variable_host
from mediaserver.routing.patterns import PATTERN_VARIABLE
from mediaserver.routing.route import Route
from mediaserver.support.credentials import resolve_secret_fields, resolve_secrets
from mediaserver.wire.encapsulation import WireSettings
from mediaserver.wire.voipbin.actions import HANG_UP


def build_routes(settings: Settings, where: str) -> tuple[list[Route], list[str]]:
    """Build the routes of a configuration, and one line for each mistake in its paths.

    A route whose settings have mistakes may still be among the routes, so that its prompts are checked, too.
    """
    routes: list[Route] = []
    tokens, problems = _resolve_tokens(
        settings.defaults.tokens, _location(settings, where, ("defaults", "tokens"))
    )
    shapes: dict[str, str] = {}  # the first pattern of each form, which is a pattern without its variables' names
    for pattern, path in settings.paths.items():
        wrong = patterns.pattern_problems(pattern, _location(settings, where, ("paths", pattern)))
        first = shapes.setdefault(VARIABLE.sub("{}", pattern), pattern)
        if first != pattern:
            place = _location(settings, where, ("paths", pattern))
            wrong.append(f'{place}: is the same as "{first}", which comes first')
        route, found = _build_route(pattern, path, settings, tokens, where)
        problems += [*wrong, *found]
        if route is not None and not wrong:
            routes.append(route)
    return routes, list(map(single_line, problems))


def _location(settings: Settings, where: str, place: KeyPath) -> str:
    """The beginning of a message: the file or environment variable that has a setting, and the setting's key."""
    return single_line(f"{settings.source(where, place)}: {format_key(place)}")


def _resolve_tokens(settings: Sequence[SecretStr], place: str) -> tuple[tuple[str, ...], list[str]]:
    """Read the tokens that settings contain or name, and make one line for each token that cannot be read.

    If none of the configured tokens can be read, a random token takes their place, so that the path is not open.
    """
    tokens, problems = resolve_secrets(settings, place)
    return (tokens if tokens or not settings else (token_urlsafe(),)), problems


def _build_route(
    pattern: str, path: PathSettings, settings: Settings, tokens: tuple[str, ...], where: str
) -> tuple[Route | None, list[str]]:
    """Build a path's route, and a list with one line for each mistake.

    The route is None if its handler does not exist, or fails when it is asked what it needs.
    """
    defaults = settings.defaults
    place = _location(settings, where, ("paths", pattern))
    try:
        handler = handler_table.resolve_handler(path.handler)
    except ValueError as error:
        return None, [f"{place}.handler: {error}"]
    wire = WireSettings(
        path.encapsulation or defaults.encapsulation,
        path.framing or defaults.framing,
        path.rtp_payload or defaults.rtp_payload,
        path.inbound or defaults.inbound,
        defaults.lead if path.lead is None else path.lead,
    )
    problems: list[str] = []
    if path.tokens is not None:
        tokens, problems = _resolve_tokens(path.tokens, f"{place}: tokens")
    resolved, unresolved = resolve_secret_fields(handler, path.handler_settings, place)
    route = Route(
        pattern,
        handler,
        path.handler_settings | resolved,
        wire,
        Access(defaults.allow if path.allow is None else path.allow, tokens),
        path.max_streams or defaults.max_streams,
        defaults.time_limit if path.time_limit is None else path.time_limit,
        settings.speech,
        settings.source(where, ("paths", pattern)),
        settings.recognition,
        path.flow,
        (HANG_UP,) if path.flow_full is None else path.flow_full,
    )
    problems += [*unresolved, *_variable_problems(route, place)]
    failing = _validation_problems(route, path.handler)
    if not failing:
        problems += _setting_problems(route, settings, where)
        failing = _needs_problems(route, path.handler)
    if failing:
        return None, [*problems, *(f'{place}.handler: handler "{path.handler}": {each}' for each in failing)]
    try:
        with route.known_handler() as known:
            known.prepare(settings.speech)
            for need in () if path.flow or settings.voipbin.has_credential else known.flow_needs():
                problems.append(f"{place}: {need}: only the call of a VoIPBIN flow can be led on: set flow = true")
    except ValueError as error:
        problems.append(f"{place}: {error}")
    except Exception as error:
        if path.handler in handler_table.HANDLERS:
            raise
        why = user_handlers.describe_failure(error)
        problems.append(f'{place}.handler: handler "{path.handler}": prepare() fails: {why}')
    return route, problems


def _validation_problems(route: Route, name: str) -> list[str]:
    """A message, in a list, if the class of a handler of a user's, `name`, fails while settings are validated.

    Its validators and its `__init__` may raise anything.
    """
    try:
        _ = route.validated
    except Exception as error:
        if name in handler_table.HANDLERS:
            raise
        return [f"its settings cannot be validated: {user_handlers.describe_failure(error)}"]
    return []


def _setting_problems(route: Route, settings: Settings, where: str) -> list[str]:
    """One line for each mistake in a route's settings, with the file or environment variable that sets them."""
    problems: list[str] = []
    for problem in route.validated.problems:
        by = settings.source(where, ("paths", route.pattern, *problem.key))
        problems.append(problem.line(single_line(f"{by}: {format_key(('paths', route.pattern))}")))
    return problems


def _needs_problems(route: Route, name: str) -> list[str]:
    """One line for each method by which a user's handler, called `name`, does not say what it needs.

    A handler with settings that are not known yet cannot be asked.
    """
    known = route.validated
    if name in handler_table.HANDLERS or known.table is None or not known.complete:
        return []
    return user_handlers.needs_problems(known.table)


def _variable_problems(route: Route, place: str) -> list[str]:
    """One line for each `{variable}` in a route's settings that its pattern lacks, or that is never filled in."""
    unknown = set(route.variables) - set(PATTERN_VARIABLE.findall(route.pattern))
    problems = [
        f"{place}: {key}: uses {{{name}}}, which the path does not have"
        for key, value in route.templated_settings.items()
        for name in sorted(unknown)
        if any(f"{{{name}}}" in text for text in texts_in(value))
    ]
    problems += [
        f"{place}: {format_key(at)}: {why}" for at, why in urls_with_variable_host(route.templated_settings)
    ]
    return problems + [
        f"{place}: {key}: is the same for all callers: no {{variable}} is filled in there"
        for key in sorted(route.handler.fixed_settings & route.settings.keys())
        if any(map(VARIABLE.search, texts_in(route.settings[key])))
    ]
