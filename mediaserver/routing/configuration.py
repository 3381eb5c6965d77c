"""A configuration: the settings, the routes, ports and secrets that are built from them, and all mistakes in them.

When the configuration file is reloaded, a new configuration replaces the current one as a whole, or, if it has
mistakes, not at all.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr
from yarl import URL

from mediaserver.config.flow_settings import FlowSettings
from mediaserver.config.settings import ACCESS_KEY, EventSettings, PromptSettings, Settings
from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.errors import ConfigError, did_you_mean
from mediaserver.events.kinds import EventKind
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing import attach_rules, audiosocket_ports, requirements, route_builder
from mediaserver.routing.audiosocket_ports import Port
from mediaserver.routing.route import Route
from mediaserver.routing.table import RouteTable
from mediaserver.speech.engines.requirements import requirement_problems
from mediaserver.support import credentials

_WILDCARDS = {"0.0.0.0", "::", ""}  # noqa: S104 - hosts that stand for all addresses of the machine
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")

# The keys of the settings that are read only when the server starts, by the table that contains the settings.
_AT_START: dict[str, Iterable[str]] = {
    "server": ("host", "port", "reuse_port"),
    "audiosocket": ("host",),
    "flows": FlowSettings.model_fields,
    "admin": ("host", "port"),
    "prompts": PromptSettings.model_fields,
    "events": EventSettings.model_fields,
    "speech": SpeechSettings.model_fields,
    "recognition": RecognitionSettings.model_fields,
    "chat": ChatSettings.model_fields,
}

_SIGNED_SCHEMES = ("", "ws", "wss", "http", "https")  # "": a URL path without scheme and host


@dataclass(frozen=True)
class Configuration:
    """Settings, and the routes, ports and secrets that are built from them.

    `where` is the configuration's name in messages. `problems` has one line for each mistake.
    """

    settings: Settings
    where: str
    table: RouteTable
    secrets: Mapping[str, str] = field(repr=False)
    problems: Sequence[str]
    ports: Mapping[int, Port] = field(default_factory=dict)  # the ports of AudioSocket over TCP, by number

    @classmethod
    def build(cls, settings: Settings, where: str, problems: Sequence[str] = ()) -> "Configuration":
        """Build routes and ports from settings, and read secrets. `problems` are the mistakes found until now."""
        built, wrong = route_builder.build_routes(settings, where)
        secrets, unread = _read_secrets(settings, where)
        cache_problems = prompt_cache_problems(settings.prompts, settings.source(where, ("prompts", "cache")))
        missing_engines = _missing_engines(built, settings, where)
        table = RouteTable(built)
        used_ports = {settings.server.port: "server.port", settings.admin.port: "admin.port"}
        flow_problems = _flow_port_problems(settings, where, used_ports)
        used_ports |= _flow_ports(settings.flows)
        invalid_paths = (settings.paths.keys() | settings.invalid_paths) - {route.pattern for route in built}
        by = settings.source(where, ("audiosocket", "ports"))
        ports, port_problems = audiosocket_ports.build_ports(
            settings.audiosocket, table, by, used_ports, invalid_paths
        )
        wrong = [
            *wrong,
            *unread,
            *cache_problems,
            *missing_engines,
            *_same_port(settings, where),
            *flow_problems,
            *port_problems,
            *attach_rules.rule_problems(settings, table, where, invalid_paths),
        ]
        return cls(settings, where, table, secrets, (*problems, *wrong), ports)

    async def sign(self, url: str, expires: int) -> str:
        """Sign a URL: return the text to add to the URL's query, which makes it a link valid until `expires`.

        `expires` is in Unix seconds. RefusedError if no configured path matches the URL; ValueError if the URL
        cannot be signed.
        """
        parsed = URL(url)
        if parsed.scheme not in _SIGNED_SCHEMES or not (parsed.host or url.startswith("/")):
            raise ValueError("should begin with wss://, ws://, https:// or http://, or be a configured path")
        if parsed.fragment:
            raise ValueError("has a fragment (#), which no server sees")
        route, _ = await self.table.match_route(parsed)
        if not route.access.tokens:
            raise ValueError(f"{self.where}: {route.pattern} has no tokens, so it needs no signed links")
        return route.access.sign(parsed, expires)

    def missing_prompts(self, library: PromptLibrary, snapshot: PromptSnapshot | None = None) -> list[str]:
        """One line for each prompt that the operator's paths name and the library lacks. Each is a mistake.

        A given `snapshot` replaces the library's own, for example to find what a change would break.
        """
        if library.folder_problem:
            made = self.built_in and library.directory.name == "prompts"
            hint = '; "mediaserver init" makes one with sample prompts' if made else ""
            by = self.settings.source(self.where, ("prompts", "directory"))
            return [f"{by}: prompts.directory: {library.directory} {library.folder_problem}{hint}"]
        snapshot = snapshot or library.snapshot
        missing = [] if self.built_in else requirements.missing_prompts(self.table, snapshot, self.where)
        by = self.settings.source(self.where, ("audiosocket", "ports"))
        return [
            *missing,
            *audiosocket_ports.missing_prompts(self.ports.values(), snapshot, by),
            *attach_rules.missing_prompts(self.settings, self.table, snapshot, self.where),
        ]

    def missing_default_prompts(self, library: PromptLibrary, snapshot: PromptSnapshot | None = None) -> list[str]:
        """One line for each prompt that the default paths name and the library lacks.

        The lines are logged as warnings, because no operator has configured these paths. Callers of such a path
        are refused until its prompts exist. A given `snapshot` replaces the library's own.
        """
        if not self.built_in or library.folder_problem:
            return []
        return requirements.missing_prompts(self.table, snapshot or library.snapshot, self.where)

    def paths_without_prompts(self, library: PromptLibrary) -> set[str]:
        """The patterns of the default paths whose prompts the library lacks."""
        if not self.built_in or library.folder_problem:
            return set()
        incomplete = (
            route for route in self.table if requirements.missing_prompts([route], library.snapshot, self.where)
        )
        return {route.pattern for route in incomplete}

    @property
    def misspelt_events(self) -> list[str]:
        """One line for each name in the setting `events.types` that looks like a misspelt EventKind.

        Other unknown names are accepted, because users' own handlers may emit events of other kinds.
        """
        by = self.settings.source(self.where, ("events", "types"))
        return [
            f'{by}: events.types: unknown event type "{name}"{hint}'
            for name in self.settings.events.types
            if name not in set(EventKind) and (hint := did_you_mean(name, EventKind))
        ]

    @property
    def built_in(self) -> bool:
        """Whether the paths are the default ones, because neither a file nor the environment sets any path."""
        return "paths" not in self.settings.model_fields_set

    def needing_restart(self, other: "Configuration") -> list[str]:
        """One line for each setting that `other` changes although the server reads it only when it starts."""
        changed = [
            f"{table}.{key}:"
            for table, keys in _AT_START.items()
            for key in keys
            if getattr(getattr(self.settings, table), key) != getattr(getattr(other.settings, table), key)
        ]
        if bool(self.settings.tls.certificate) != bool(other.settings.tls.certificate):
            changed.append("tls.certificate:")
        if self.settings.audiosocket.ports.keys() != other.settings.audiosocket.ports.keys():
            changed.append("audiosocket.ports: the set of ports")
        return [f"{self.where}: {key} cannot change while the server runs: restart it" for key in changed]

    @property
    def files(self) -> list[Path]:
        """The files that the configuration names and the server reads: certificates, keys and secrets."""
        settings = self.settings
        certificate = [Path(file) for file in (settings.tls.certificate, settings.tls.key) if file]
        secrets = [*_tokens(settings), *requirements.handler_secrets(settings)]
        return [*certificate, *credentials.secret_files(secrets)]


def _missing_engines(built: Iterable[Route], settings: Settings, where: str) -> list[str]:
    """One line for each TTS, STT or LLM engine that a path needs and that cannot be used."""
    return [
        f'{settings.source(where, ("paths", route.pattern))}: paths."{route.pattern}": {problem}'
        for route in built
        for need in sorted(requirements.required_engines([route]))
        if need.kind not in settings.invalid_tables
        for problem in requirement_problems(need, settings.speech, settings.recognition, settings.chat)
    ]


def prompt_cache_problems(prompts: PromptSettings, where: str) -> list[str]:
    """A message, in a list, if the prompt cache's folder is in the prompt folder, or is no file path; else []."""
    try:
        cache = prompts.cache_directory
        if cache is None or not Path(os.path.realpath(cache)).is_relative_to(os.path.realpath(prompts.directory)):
            return []
    except ValueError as error:  # the cache's folder has a character that file paths cannot have
        return [f"{where}: prompts: directory or cache is not a valid path: {error}"]
    return [f'{where}: prompts.cache: {cache} is in the prompt folder: name another one, or "off"']


def _tokens(settings: Settings) -> Iterable[SecretStr]:
    yield settings.admin.token
    yield from (named.token for named in settings.admin.tokens.values())
    yield from settings.defaults.tokens
    for path in settings.paths.values():
        yield from path.tokens or ()


def _same_port(settings: Settings, where: str) -> list[str]:
    """A message, in a list, if the media port and the admin port are the same; else []."""
    server, admin = settings.server, settings.admin
    overlap = server.host == admin.host or _WILDCARDS & {server.host, admin.host}
    if not server.port or server.port != admin.port or not overlap:
        return []
    return [
        f"{settings.source(where, ('admin', 'port'))}: admin.port: is server.port as well: choose another port"
    ]


def _flow_port_problems(settings: Settings, where: str, used_ports: Mapping[int, str]) -> list[str]:
    """One line for each port of `[flows]` that another listener also has.

    If `[flows]` has no secret, there is also one line for each path with `flow = true`, because VoIPBIN cannot
    request actions for these paths.
    """
    flows = settings.flows
    by = {key: f"{settings.source(where, ('flows', key))}: flows.{key}" for key in ("port", "media_ports")}
    wrong = []
    if flows.listens and flows.port and flows.port in used_ports:
        wrong.append(f"{by['port']}: is {used_ports[flows.port]} as well: choose another port")
    if flows.enabled:
        others = {**used_ports, flows.port: "flows.port"}
        taken = [others[port] for port in flows.ports if port in others]
        wrong += [f"{by['media_ports']}: {name} is among them: choose another port" for name in taken]
    elif "flows" not in settings.invalid_tables:
        wrong += [
            f'{settings.source(where, ("paths", path, "flow"))}: paths."{path}": flow: set flows.secret, too'
            for path, table in settings.paths.items()
            if table.flow
        ]
    return wrong


def _flow_ports(flows: FlowSettings) -> dict[int, str]:
    """The ports that `[flows]` listens on, each with the name of its setting."""
    media = dict.fromkeys(flows.ports if flows.enabled else (), "in flows.media_ports")
    return {**media, flows.port: "flows.port"} if flows.listens else {}


def _read_secrets(settings: Settings, where: str) -> tuple[dict[str, str], list[str]]:
    """Read the secrets that the settings hold or name.

    Returns the secrets by the keys of their settings ("" if there is none), and one line for each secret that
    cannot be read.
    """
    found, problems = {}, []
    for place, secret in (
        (("voipbin", "token"), settings.voipbin.token),
        (("voipbin", "access_key"), settings.voipbin.access_key),
        (("events", "secret"), settings.events.secret),
        (("admin", "token"), settings.admin.token),
        *((("admin", "tokens", name, "token"), named.token) for name, named in settings.admin.tokens.items()),
        (("flows", "secret"), settings.flows.secret),
        (("flows", "webhook_secret"), settings.flows.webhook_secret),
        (("speech", "openai", "token"), settings.speech.openai.token),
        (("recognition", "openai", "token"), settings.recognition.openai.token),
        (("chat", "token"), settings.chat.token),
        *((("chat", "servers", name, "token"), server.token) for name, server in settings.chat.servers.items()),
        *(
            (("speech", "command", "environment", name), value)
            for name, value in settings.speech.command.environment.items()
        ),
    ):
        key = ".".join(place)
        by = f"{settings.source(where, place)}: {key}"
        try:
            found[key] = credentials.resolve_secret(secret, by)
        except ConfigError as error:
            found[key] = ""
            problems += error.problems
        if mixed_up := _mistaken_credential(key, found[key]):
            problems.append(f"{by}: {mixed_up}")
    return found, problems


def _mistaken_credential(key: str, secret: str) -> str:
    """A message if a VoIPBIN token looks like an access key, or an access key like a token; else ""."""
    if key == "voipbin.token" and secret.startswith(ACCESS_KEY):
        return f"is an access key, as it begins with {ACCESS_KEY}: set it as voipbin.access_key"
    if key == "voipbin.access_key" and _JWT.fullmatch(secret):
        return "is a token, a JWT by its form: set it as voipbin.token"
    return ""
