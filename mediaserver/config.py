"""TOML and environment to settings. `config.example.toml` is the reference that explains every key.

An environment variable overrides the file: `MEDIASERVER_SERVER__PORT=9000` is `port` of `[server]`.
"""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from mediaserver.errors import ConfigError, did_you_mean, plainly

DEFAULT_FILE = Path("config.toml")
ENV_PREFIX, ENV_DELIMITER = "MEDIASERVER_", "__"


def _is_web(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be a URL that begins with http:// or https://")
    _ = parts.port  # ValueError where it is none
    return url


def _has_no_query(url: str) -> str:
    if "?" in url or "#" in url:
        raise ValueError("should have no query: what is asked for is added to it")
    return url


WebUrl = Annotated[str, AfterValidator(_is_web)]


class Table(BaseModel):
    """Base of all tables of settings: an unknown key is a mistake, and so is a number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ServerSettings(Table):
    """`[server]`: the public listener that VoIPBIN dials."""

    host: str = "0.0.0.0"  # noqa: S104 - it is there to be dialled
    port: int = Field(8080, ge=0, le=65535)
    max_streams: int = Field(10_000, ge=1)
    drain_timeout: float = Field(30.0, ge=0, description="seconds that streams may take to end at shutdown")
    stall_timeout: float = Field(
        10.0, ge=0.1, description="seconds after which a peer that takes nothing is closed"
    )


class AdminSettings(Table):
    """`[admin]`: health, metrics and the streams, never on the public port."""

    host: str = "127.0.0.1"
    port: int = Field(8081, ge=0, le=65535)


class PromptSettings(Table):
    """`[prompts]`: the folder of sound files."""

    directory: Path = Path("prompts")
    memory_limit: int = Field(512, ge=1, description="MB of ready-made messages")
    watch: Literal["auto", "events", "poll", "off"] = "auto"
    poll_interval: float = Field(5.0, ge=0.05, description="seconds between two looks at the folder")
    settle: float = Field(1.0, ge=0.05, description="seconds for which a file must stay as it is")


class WireDefaults(Table):
    """`[defaults]`, and the same three keys in a path."""

    encapsulation: Literal["audiosocket", "rtp", "sln"] = "audiosocket"
    framing: Literal["auto", "pcm", "message"] = "auto"
    rtp_payload: Literal["auto", "pcmu", "pcma", "l16"] = "auto"


class VoipbinSettings(Table):
    """`[voipbin]`: the platform that we dial."""

    api: Annotated[WebUrl, AfterValidator(_has_no_query)] = "https://api.voipbin.net/v1.0"
    token: SecretStr = SecretStr("")
    reconnect_timeout: float = Field(30.0, ge=0, description="seconds to go on trying after a connection broke")


class EventSettings(Table):
    """`[events]`: a URL of the operator's that is told what happens."""

    url: Annotated[str, AfterValidator(lambda url: url and _is_web(url))] = ""
    secret: SecretStr = SecretStr("")
    types: tuple[str, ...] = ()
    timeout: float = Field(5.0, gt=0, description="seconds for one attempt")
    give_up: float = Field(60.0, ge=0, description="seconds after which an event is let go of")
    queue: int = Field(10_000, ge=1)


class LogSettings(Table):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class PathSettings(BaseModel):
    """`[paths."/…"]`: a handler, how to speak, and the handler's own settings beside them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    handler: str
    encapsulation: Literal["audiosocket", "rtp", "sln"] | None = None
    framing: Literal["auto", "pcm", "message"] | None = None
    rtp_payload: Literal["auto", "pcmu", "pcma", "l16"] | None = None

    @property
    def handler_settings(self) -> dict[str, Any]:
        """What is the handler's."""
        return dict(self.model_extra or {})


DEFAULT_PATHS: dict[str, dict[str, Any]] = {
    "/audio-stream": {"handler": "playback", "prompt": "welcome"},
    "/play/{prompt:.+}": {"handler": "playback", "prompt": "{prompt}"},
    "/hold": {"handler": "hold-music", "prompts": ["music/*"]},
    "/tone/{tone}": {"handler": "tone", "tone": "{tone}"},
    "/silence": {"handler": "silence"},
}


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, extra="forbid", frozen=True
    )

    server: ServerSettings = ServerSettings()
    admin: AdminSettings = AdminSettings()
    prompts: PromptSettings = PromptSettings()
    defaults: WireDefaults = WireDefaults()
    voipbin: VoipbinSettings = VoipbinSettings()
    events: EventSettings = EventSettings()
    log: LogSettings = LogSettings()
    paths: dict[str, PathSettings] = Field(default_factory=lambda: _paths(DEFAULT_PATHS))

    def override(self, table: str, **values: Any) -> "Settings":
        """A copy with some values of one table replaced; None leaves a value as it is."""
        given = {key: value for key, value in values.items() if value is not None}
        return self.model_copy(update={table: getattr(self, table).model_copy(update=given)})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then what `load` passes in: the file's tables, and the command line's options."""
        return env_settings, init_settings


def _paths(tables: dict[str, dict[str, Any]]) -> dict[str, PathSettings]:
    return {path: PathSettings.model_validate(table) for path, table in tables.items()}


def load(file: Path | None = None) -> tuple[Settings, list[str]]:
    """Settings of a config file and the environment, and what is wrong with them, all mistakes at once.

    Without a file those of `./config.toml`, or the defaults. A relative prompt folder in a file is relative to
    that file. A wrong setting is left at its default, a wrong path out, so that the rest can be looked at too.
    ConfigError where there is nothing left to look at.
    """
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    where = str(file or "defaults")
    found = _unknown_variables()
    tables = _read(file, found) if file is not None else {}
    try:
        settings = Settings(**tables)
    except SettingsError as error:
        raise ConfigError([*found, f"environment: {error}: not JSON"]) from error
    except ValidationError as error:
        found = problems(where, error, Settings) + found
        for details in error.errors():
            _leave_out(tables, details["loc"])
        try:
            settings = Settings(**tables)
        except ValidationError:  # a variable of the environment is wrong: there is no leaving it out
            raise ConfigError(found) from error
    if file is not None and not _variable(("prompts", "directory")):
        settings = settings.override("prompts", directory=file.parent / settings.prompts.directory)
    return settings, found


def _leave_out(tables: dict[str, Any], place: tuple[str | int, ...]) -> None:
    """Take a wrong setting, path or table out of a file's tables."""
    *above, last = place[:2]
    table = tables.get(str(above[0]), {}) if above else tables
    if isinstance(table, dict):
        table.pop(str(last), None)
    else:
        tables.pop(str(above[0]))


def _unknown_variables() -> list[str]:
    """Variables that look like settings and are none. Those without two underscores may be anybody's."""
    found = []
    for variable in sorted(os.environ):
        table, delimiter, _ = variable.upper().removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if variable.upper().startswith(ENV_PREFIX) and delimiter and table.lower() not in Settings.model_fields:
            hint = did_you_mean(table, map(str.upper, Settings.model_fields))
            found.append(f"{variable}: unknown setting{hint}")
    return found


def _read(file: Path, found: list[str]) -> dict[str, Any]:
    """The tables of a file; what is no table where one must be is left out, and told in `found`."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([*found, f"{file}: cannot be read: {plainly(error)}"]) from error
    except (ValueError, RecursionError) as error:  # of TOML, or of UTF-8
        raise ConfigError([*found, f"{file}: is not TOML: {error}"]) from error
    wrong = [name for name in Settings.model_fields if not isinstance(tables.get(name, {}), dict)]
    found += [f"{file}: {name}: is a table, [{name}] (it is {tables.pop(name)!r})" for name in wrong]
    return tables


def problems(where: str, error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A validation error as one line per mistake: where it stands, what is wrong, what may have been meant."""
    return [line for _, lines in problems_by_error(where, error, model) for line in lines]


def problems_by_error(
    where: str, error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[Any, list[str]]]:
    """Each of pydantic's errors with its lines; an error of a whole table may have several."""
    for details in error.errors():
        yield details, _problem(where, details, model)


def _problem(where: str, details: Any, model: type[BaseModel]) -> list[str]:
    place: tuple[str | int, ...] = tuple(part for part in details["loc"] if part != "[key]")
    variable = _variable(place) if model is Settings else None  # a handler's settings come from its path alone
    key = _key(place)
    if details["type"] == "extra_forbidden":
        return [f"{variable or where}: {key}: unknown setting{did_you_mean(str(place[-1]), _known(place, model))}"]
    message, value = details["msg"].removeprefix("Value error, "), details["input"]
    plain = isinstance(value, str | int | float) and details["type"] != "missing" and not _is_private(place, value)
    shown = f" (it is {value!r})" if plain else ""
    return [f"{variable or where}: {f'{key}: ' if key else ''}{line}{shown}" for line in message.splitlines()]


def _is_private(place: tuple[str | int, ...], value: object) -> bool:
    """Whether a value may hold a secret: it is never shown."""
    return (bool(place) and place[-1] in ("token", "secret")) or "//" in str(value)


def _known(place: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    """The settings that there are where an unknown one stands."""
    kind: Any = model
    for part in place[:-1]:
        if get_origin(kind) is dict:  # a table of models by name
            kind = get_args(kind)[1]
        elif _is_model(kind) and str(part) in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
        else:
            return []
        kind = next(filter(_is_model, get_args(kind)), kind) if get_origin(kind) is not dict else kind
    return list(kind.model_fields) if _is_model(kind) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _key(place: tuple[str | int, ...]) -> str:
    """A place in TOML's own spelling, such as `paths."/hold".handler`."""
    parts = [
        f"[{part}]" if isinstance(part, int) else f'."{part}"' if "/" in part else f".{part}" for part in place
    ]
    return "".join(parts).removeprefix(".")


def _variable(place: tuple[str | int, ...]) -> str | None:
    """The environment variable that sets this place, where one does: by itself, or in a whole table as JSON."""
    variables = {variable.upper(): variable for variable in os.environ}
    for depth in range(len(place), 0, -1):
        variable = variables.get((ENV_PREFIX + ENV_DELIMITER.join(map(str, place[:depth]))).upper())
        if variable is not None and _holds(os.environ[variable], place[depth:]):
            return variable
    return None


def _holds(text: str, keys: tuple[str | int, ...]) -> bool:
    """Whether a variable's text has a value under these keys."""
    if not keys:
        return True
    try:
        value: Any = json.loads(text)
        for key in keys:
            value = value[key]
    except (ValueError, LookupError, TypeError):
        return False
    return True
