"""A configuration made ready: its routes, its secrets, and what is wrong with it. Another one takes its place as a
whole, or not at all.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr
from yarl import URL

from mediaserver.config.settings import ACCESS_KEY, EventSettings, PromptSettings, Settings
from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.errors import ConfigError, did_you_mean
from mediaserver.events.kinds import EVENTS
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.routing import audiosocket_ports, routes
from mediaserver.routing.audiosocket_ports import Port
from mediaserver.routing.table import RouteTable
from mediaserver.speech.engines.requirements import requirement_problem
from mediaserver.support import credentials

_EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - hosts that are all addresses
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")

# What listeners, library and webhooks are made of when the server starts.
_AT_START: dict[str, Iterable[str]] = {
    "server": ("host", "port", "reuse_port"),
    "audiosocket": ("host",),
    "admin": ("host", "port"),
    "prompts": PromptSettings.model_fields,
    "events": EventSettings.model_fields,
    "speech": SpeechSettings.model_fields,
    "recognition": RecognitionSettings.model_fields,
    "chat": ChatSettings.model_fields,
}

_SIGNED = ("", "ws", "wss", "http", "https")  # schemes of what can be signed; a path is for a backend to complete


@dataclass(frozen=True)
class Configuration:
    """Settings, and what is made of them. `where` names them in messages; `problems` has a line a mistake."""

    settings: Settings
    where: str
    table: RouteTable
    secrets: Mapping[str, str] = field(repr=False)
    problems: Sequence[str]
    ports: Mapping[int, Port] = field(default_factory=dict)  # of AudioSocket over TCP

    @classmethod
    def of(cls, settings: Settings, where: str, problems: Sequence[str] = ()) -> "Configuration":
        """Build the routes and look the secrets up; `problems` are those known already."""
        built, wrong = routes.build(settings, where)
        found, missing = _secrets_of(settings, where)
        kept_there = misplaced(settings.prompts, settings.source(where, ("prompts", "cache")))
        lacking = _lacking_engines(built, settings, where)
        table = RouteTable(built)
        taken = {settings.server.port: "server.port", settings.admin.port: "admin.port"}
        unsound = (settings.paths.keys() | settings.left_out) - {route.pattern for route in built}
        by = settings.source(where, ("audiosocket", "ports"))
        answered, unanswered = audiosocket_ports.build(settings.audiosocket, table, by, taken, unsound)
        wrong = [*wrong, *missing, *kept_there, *lacking, *_same_port(settings, where), *unanswered]
        return cls(settings, where, table, found, (*problems, *wrong), answered)

    async def sign(self, url: str, expires: int) -> str:
        """What makes a URL of ours a link that is good until `expires`, Unix seconds, to be added to its query.

        RefusedError where there is no such path, ValueError where it cannot be signed.
        """
        parsed = URL(url)
        if parsed.scheme not in _SIGNED or not (parsed.host or url.startswith("/")):
            raise ValueError(
                "should begin with wss://, ws://, https:// or http://, or be a path of the configuration"
            )
        if parsed.fragment:
            raise ValueError("has a fragment (#), which no server sees")
        route, _ = await self.table.find(parsed)
        return route.access.sign(parsed, expires)

    def missing_prompts(self, library: PromptLibrary) -> list[str]:
        """What the operator's paths lack in a library that is loaded: it is a mistake."""
        if library.trouble:
            hint = '; "mediaserver init" makes one with sample prompts' if self.built_in else ""
            by = self.settings.source(self.where, ("prompts", "directory"))
            return [f"{by}: prompts.directory: {library.directory} {library.trouble}{hint}"]
        catalogue = library.catalogue
        missing = [] if self.built_in else routes.missing_prompts(self.table, catalogue, self.where)
        by = self.settings.source(self.where, ("audiosocket", "ports"))
        return [*missing, *audiosocket_ports.missing_prompts(self.ports.values(), catalogue, by)]

    def left_out(self, library: PromptLibrary) -> list[str]:
        """What the built-in paths lack, which nobody asked for: their callers are refused until it is there."""
        if not self.built_in or library.trouble:
            return []
        return routes.missing_prompts(self.table, library.catalogue, self.where)

    def unserved(self, library: PromptLibrary) -> set[str]:
        """The built-in paths that are left out."""
        if not self.built_in or library.trouble:
            return set()
        lacking = (route for route in self.table if routes.missing_prompts([route], library.catalogue, self.where))
        return {route.pattern for route in lacking}

    @property
    def misspelt_events(self) -> list[str]:
        """What `events.types` has that is almost an event of ours. Others may be of handlers of users' own."""
        by = self.settings.source(self.where, ("events", "types"))
        return [
            f'{by}: events.types: no event of ours is "{name}"{hint}'
            for name in self.settings.events.types
            if name not in EVENTS and (hint := did_you_mean(name, EVENTS))
        ]

    @property
    def built_in(self) -> bool:
        """Whether the paths are our own: neither a file nor the environment has any."""
        return "paths" not in self.settings.model_fields_set

    def needing_restart(self, other: "Configuration") -> list[str]:
        """What cannot be changed to `other` without a restart."""
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
        """The files, besides its own, that it is read from."""
        settings = self.settings
        certificate = [Path(file) for file in (settings.tls.certificate, settings.tls.key) if file]
        return [*certificate, *credentials.files_of([*_tokens(settings), *routes.handler_secrets(settings)])]


def _lacking_engines(built: Iterable[routes.Route], settings: Settings, where: str) -> list[str]:
    """What the engines lack that paths need."""
    return [
        f'{settings.source(where, ("paths", route.pattern))}: paths."{route.pattern}": {problem}'
        for route in built
        for need in sorted(routes.needs([route]))
        if need.kind not in settings.mistaken
        and (problem := requirement_problem(need, settings.speech, settings.recognition, settings.chat))
    ]


def misplaced(prompts: PromptSettings, where: str) -> list[str]:
    """What is wrong with where decoded sound is to be kept."""
    try:
        cache = prompts.cache_directory
        if cache is None or not Path(os.path.realpath(cache)).is_relative_to(os.path.realpath(prompts.directory)):
            return []
    except ValueError as error:  # by its characters
        return [f"{where}: prompts: directory or cache is no path: {error}"]
    return [f'{where}: prompts.cache: {cache} is in the prompt folder: name another one, or "off"']


def _tokens(settings: Settings) -> Iterable[SecretStr]:
    yield settings.admin.token
    yield from settings.defaults.tokens
    for path in settings.paths.values():
        yield from path.tokens or ()


def _same_port(settings: Settings, where: str) -> list[str]:
    """That the two listeners would be in each other's way, if so."""
    server, admin = settings.server, settings.admin
    meet = server.host == admin.host or _EVERYWHERE & {server.host, admin.host}
    if not server.port or server.port != admin.port or not meet:
        return []
    return [
        f"{settings.source(where, ('admin', 'port'))}: admin.port: is server.port as well: choose another port"
    ]


def _secrets_of(settings: Settings, where: str) -> tuple[dict[str, str], list[str]]:
    """The secrets that the settings hold or name, "" where there is none, and what names one that is not there."""
    found, problems = {}, []
    for place, secret in (
        (("voipbin", "token"), settings.voipbin.token),
        (("voipbin", "access_key"), settings.voipbin.access_key),
        (("events", "secret"), settings.events.secret),
        (("admin", "token"), settings.admin.token),
        (("speech", "openai", "token"), settings.speech.openai.token),
        (("recognition", "openai", "token"), settings.recognition.openai.token),
        (("chat", "token"), settings.chat.token),
        *(
            (("speech", "command", "environment", name), value)
            for name, value in settings.speech.command.environment.items()
        ),
    ):
        key = ".".join(place)
        by = f"{settings.source(where, place)}: {key}"
        try:
            found[key] = credentials.reveal(secret, by)
        except ConfigError as error:
            found[key] = ""
            problems += error.problems
        if mixed_up := _mixed_up(key, found[key]):
            problems.append(f"{by}: {mixed_up}")
    return found, problems


def _mixed_up(key: str, secret: str) -> str:
    """Why one of VoIPBIN's two credentials is the other one, by its form; "" where it is not."""
    if key == "voipbin.token" and secret.startswith(ACCESS_KEY):
        return f"is an access key, as it begins with {ACCESS_KEY}: set it as voipbin.access_key"
    if key == "voipbin.access_key" and _JWT.fullmatch(secret):
        return "is a token, a JWT by its form: set it as voipbin.token"
    return ""
