"""Finds the rule of `[[attach]]` whose path a call of VoIPBIN gets, and finds mistakes in such rules."""

from collections.abc import Iterable

from yarl import URL

from mediaserver.config.attach_settings import AttachRule
from mediaserver.config.settings import Settings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing import requirements
from mediaserver.routing.table import RouteTable, matches_any_pattern

# The variables that every call has, with example values for a trial of the handler of a rule's path.
_ANY_CALL = {"source": "+15551234567", "destination": "+15551234567"}


def find_rule(rules: Iterable[AttachRule], destination: str, source: str, direction: str) -> AttachRule | None:
    """The first rule that matches a call from `source` to `destination` in this direction; None if none does."""
    return next((rule for rule in rules if rule.matches(destination, source, direction)), None)


def missing_prompts(settings: Settings, table: RouteTable, snapshot: PromptSnapshot, where: str) -> list[str]:
    """One line for each rule whose calls would get no stream: a prompt is missing, or a variable has no value."""
    by = settings.source(where, ("attach",))
    problems = []
    for number, rule in enumerate(settings.attach):
        try:
            url = URL(rule.path)
            route, variables = table.match_route_now(url)
        except (RefusedError, ValueError):
            continue  # `rule_problems` reports the mistake in the rule
        if route.validated.problems or requirements.missing_prompts([route], snapshot, where):
            continue  # the mistake is in the settings of the path, and is reported for the path
        try:
            route.build_handler(variables | _ANY_CALL, url.query, snapshot)
        except RefusedError as error:
            problems.append(f"{by}: attach[{number}].path: {error}")
    return problems


def rule_problems(settings: Settings, table: RouteTable, where: str, invalid_paths: Iterable[str]) -> list[str]:
    """One line for each mistake in the rules of `[[attach]]`.

    `invalid_paths` are the configured paths that `table` lacks because of mistakes, which are reported already.
    """
    if not settings.attach:
        return []
    by = settings.source(where, ("attach",))
    problems = []
    if not settings.flows.takes_webhooks and "flows" not in settings.invalid_tables:
        problems.append(
            f"{by}: attach: set flows.webhook_secret, too: it is VoIPBIN's webhooks that tell of calls"
        )
    if not settings.voipbin.has_credential and "voipbin" not in settings.invalid_tables:
        problems.append(f"{by}: attach: set voipbin.token or voipbin.access_key, too: they let us dial the calls")
    for number, rule in enumerate(settings.attach):
        try:
            url = URL(rule.path)
            route, _ = table.match_route_now(url)
            route.wire_settings(url.query)
        except RefusedError as error:
            known = error.reason is RefusalReason.UNKNOWN_PATH and matches_any_pattern(
                invalid_paths, URL(rule.path)
            )
            problems += [] if known else [f"{by}: attach[{number}].path: {error}"]
        except ValueError as error:
            problems.append(f"{by}: attach[{number}].path: {error}")
    return problems
