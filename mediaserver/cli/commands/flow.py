"""`mediaserver flow`: prints the flow that brings a caller to a URL path, or creates it at VoIPBIN."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import typer
from yarl import URL

from mediaserver import config
from mediaserver.cli import options, terminal
from mediaserver.cli.terminal import EXIT_WRONG_STREAM, err
from mediaserver.client.advice import NO_CREDENTIAL
from mediaserver.client.flows import api
from mediaserver.client.flows.builder import Actions, dialled_addresses, flow_actions
from mediaserver.client.flows.probe import probe_address
from mediaserver.client.voipbin import credential_of
from mediaserver.config.settings import VoipbinSettings
from mediaserver.errors import ConfigError, MediaServerError, RefusedError
from mediaserver.routing.configuration import Configuration
from mediaserver.routing.route import Route
from mediaserver.support import log
from mediaserver.support.credentials import redact_url

_SERVER = "wss://media.example.com"
_DETAIL = "made by mediaserver flow"
_PLACEHOLDER = "media.example.com stands for this server: give --server"
_URL_IGNORED = (
    "VoIPBIN's public code ignores url: for a platform that is built from it, name a port for the path in"
    " [audiosocket]"
)
_PLATFORM_VARIABLE = re.compile(r"\$\{[^{}]*\}")  # VoIPBIN fills the value in, so that any path may come of it
_FLOWS_OWN = {"activeflow_id": ""}  # the variable that a call of a flow has besides those of its URL
_SIGN_LINK = "the path has tokens, and this URL has none: mediaserver sign makes a link for it"


class _Flow(NamedTuple):
    """The actions of a flow, and notes on them for the user."""

    actions: Actions
    notes: list[str]


def flow(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A path of the configuration, such as /menu.")],
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"The ws:// or wss:// URL at which VoIPBIN reaches this server. Default: {_SERVER}. If it is"
            " given, the flow starts media, even for a path with flow = true.",
        ),
    ] = None,
    fetch_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Let the flow fetch its actions from this URL, in place of that of [flows]."
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The flow's name. Default: mediaserver PATH.")] = "",
    create: Annotated[
        bool, typer.Option("--create", help="Create the flow at VoIPBIN, or update the one of this name.")
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Check that the flow's hosts and ports can be reached from here.")
    ] = False,
    file: options.ConfigOption = None,
) -> None:
    """Print the VoIPBIN flow that connects a caller with a path, as JSON to paste into VoIPBIN.

    For a path with flow = true, the flow has one action, which fetches all others from the URL of [flows]. This
    URL contains the secret. For another path that has a port in [audiosocket], the flow lets VoIPBIN dial that
    port; otherwise it lets VoIPBIN dial the path's WebSocket.
    """
    with terminal.config_errors():
        settings, problems = config.load(file)
        log.configure("error", settings.log.format)
        configuration = Configuration.build(settings, terminal.name_of(file), problems)
        if configuration.problems:
            raise ConfigError(configuration.problems)
        name = name or f"mediaserver {redact_url(path)}"
        try:
            made = _make_flow(configuration, path, server or "", fetch_url or "")
            wrong = _probe(made.actions) if probe else []
            if create and not wrong:
                typer.echo(_store(settings.voipbin, name, made.actions))
        except ConfigError:
            raise
        except (MediaServerError, ValueError) as error:
            terminal.print_errors([terminal.explain(error, file)])
            raise typer.Exit(EXIT_WRONG_STREAM) from error
    if not create:
        typer.echo(json.dumps({"name": name, "detail": _DETAIL, "actions": made.actions}, indent=2))
    for note in made.notes:
        err.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    terminal.print_errors(wrong)
    if wrong:
        raise typer.Exit(EXIT_WRONG_STREAM)


def _make_flow(configuration: Configuration, path: str, server: str, fetch_url: str) -> _Flow:
    """The flow for a URL path; RefusedError if there is no such URL path, ValueError if a URL is wrong."""
    asked, base = URL(path), URL(server or _SERVER)
    if not path.startswith("/") or asked.host:
        raise ValueError(f"{path} should be a path of the configuration: it begins with /")
    if base.scheme not in ("ws", "wss") or not base.host or base.query_string or base.fragment or base.user:
        raise ValueError("--server should be ws://host or wss://host, perhaps with a port and a path")
    route, named = configuration.table.match_route_now(URL(_PLATFORM_VARIABLE.sub("1", path)))
    flows = configuration.settings.flows
    is_ours = route.flow and not (server or fetch_url)
    if is_ours:
        fetch_url = flows.fetch_url(path, configuration.secrets["flows.secret"])
    if fetch_url:
        fetched = URL(fetch_url)
        if fetched.scheme not in ("http", "https") or not fetched.host:
            raise ValueError("--fetch-url should begin with http:// or https://")
        return _Flow(
            flow_actions(fetch_url=fetch_url), _refusal(route, named | _FLOWS_OWN, asked) if is_ours else []
        )
    placeholder = [] if server else [_PLACEHOLDER]
    port = next((each.number for each in configuration.ports.values() if each.url == asked and each.number), None)
    if port is not None:
        host = f"[{base.host}]" if ":" in base.host else base.host
        return _Flow(flow_actions(external_host=f"{host}:{port}"), placeholder)
    notes = [
        *_refusal(route, named, asked),
        *placeholder,
        _URL_IGNORED,
        *([_SIGN_LINK] if route.access.tokens else []),
    ]
    url = f"{(server or _SERVER).rstrip('/')}{path}"
    return _Flow(flow_actions(url=url, encapsulation=route.wire.encapsulation), notes)


def _refusal(route: Route, named: Mapping[str, str], asked: URL) -> list[str]:
    """A note, in a list, if calls of this URL are refused; [] if they are not, or if VoIPBIN fills in a value."""
    if _PLATFORM_VARIABLE.search(f"{asked.path}?{asked.query_string}"):
        return []
    try:
        route.validate_call(named, asked.query)
    except RefusedError as error:
        return [f"calls of {asked.path} are refused: {error}"]
    return []


def _probe(actions: Actions) -> list[str]:
    """Print a line for each address of a flow that can be reached; return a line for each other address."""
    probes = [terminal.run(probe_address(*address)) for address in dialled_addresses(actions)]
    for each in probes:
        if each.reached:
            typer.echo(each.line, err=True)
    return [each.line for each in probes if not each.reached]


def _store(settings: VoipbinSettings, name: str, actions: Actions) -> str:
    """Create or update the flow at VoIPBIN; return a line that says so. ConfigError if no credential is set."""
    credential = credential_of(settings)
    if credential is None:
        raise ConfigError([NO_CREDENTIAL])
    stored = terminal.run(api.store_flow(settings.api, credential, name, _DETAIL, actions))
    return f"{'created' if stored.created else 'updated'} the flow {name}: {stored.id}"
