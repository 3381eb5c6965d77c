"""The models of all tables of settings. `config.example.toml` explains each setting."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from mediaserver.config.attach_settings import AttachRule
from mediaserver.config.error_messages import KeyPath
from mediaserver.config.fields import ApiUrl, Networks, Table, Tokens, validate_web_url
from mediaserver.config.flow_settings import FlowActions, FlowSettings
from mediaserver.config.listener_settings import AdminSettings, AudioSocketSettings, ServerSettings, TlsSettings
from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings
from mediaserver.config.strict_types import RawText, number_of
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import Encapsulation, Framing, RtpPayload

ACCESS_KEY = "vb_"  # the characters with which each access key of VoIPBIN begins


def _loudness(value: Any) -> Any:
    if value == "off":
        return value
    level = number_of(value)
    if level is not None and -50 <= level <= -10:
        return level
    raise ValueError('should be "off", or a level in dBov from -50 to -10')


def _silence_trim(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, RawText) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    level = number_of(value)
    if level is not None and -90 <= level <= -20:
        return level
    raise ValueError("should be true, false, or the level in dBov from -90 to -20 up to which a sound is silence")


Loudness = Annotated[Literal["off"] | float, BeforeValidator(_loudness)]
SilenceTrim = Annotated[bool | float, BeforeValidator(_silence_trim)]


class PromptSettings(Table):
    """`[prompts]`: the folder of sound files, and how they are decoded, cached and watched."""

    directory: Path = Path("prompts")
    memory_limit: int = Field(512, ge=1, description="MB of memory for prompts that are ready to be sent.")
    longest: float = Field(7200.0, gt=0, le=86_400, description="The longest sound file, in seconds.")
    pcm: Literal["auto", "linear", "mulaw"] = Field("auto", description="What `.pcm` files hold.")
    loudness: Loudness = Field("off", description="The active speech level of prompts and texts in dBov, or off.")
    trim_silence: SilenceTrim = Field(False, description="Whether silence at the ends is cut off.")
    cache: str = Field("auto", min_length=1, description="The folder for decoded sound, auto or off.")
    cache_limit: int = Field(1024, ge=1, description="MB of disk for decoded sound.")
    watch: Literal["auto", "events", "poll", "off"] = "auto"
    poll_interval: float = Field(5.0, ge=0.05, description="Seconds between two looks at the folder.")
    settle: float = Field(1.0, ge=0.05, description="Seconds for which a file must stay unchanged.")
    editable: bool = Field(False, description="Whether the admin port may change prompts.")
    upload_limit: int = Field(100, ge=1, description="The largest file that may be uploaded, in MB.")
    history: int = Field(5, ge=0, le=1000, description="How many old versions of a prompt are kept.")

    @property
    def level(self) -> float | None:
        """The active speech level of prompts and spoken texts in dBov; None where `loudness` is off."""
        return None if self.loudness == "off" else self.loudness

    @property
    def cache_directory(self) -> Path | None:
        """The folder for decoded prompts; None if the cache is off, or if its path begins with ~ and no home
        directory is known.
        """
        if self.cache == "off":
            return None
        given = os.environ.get("XDG_CACHE_HOME", "")
        auto = Path(given if Path(given).is_absolute() else "~/.cache") / "mediaserver"
        wanted = auto if self.cache == "auto" else Path(self.cache)
        place = Path(os.path.expanduser(wanted))  # noqa: PTH111 - pathlib's expanduser raises without a home
        return place if place.is_absolute() or not str(wanted).startswith("~") else None


class Defaults(Table):
    """`[defaults]`: settings of all paths. A path may set the same keys for itself."""

    encapsulation: Encapsulation = Encapsulation.AUDIOSOCKET
    framing: Framing = Framing.AUTO
    rtp_payload: RtpPayload = RtpPayload.AUTO
    inbound: InboundCodec = InboundCodec.AUTO
    lead: int = Field(1, ge=0, le=10, description="Frames that are sent ahead of their time.")
    tokens: Tokens = ()
    allow: Networks = ()
    max_streams: int = Field(10_000, ge=1, description="The most streams at once on one path.")
    time_limit: float = Field(
        86_400.0, ge=0, description="Seconds that a stream may last. With 0 there is no limit."
    )


class VoipbinSettings(Table):
    """`[voipbin]`: the API of the VoIPBIN platform, by which the server dials media streams."""

    api: ApiUrl = "https://api.voipbin.net/v1.0"
    token: SecretStr = SecretStr("")
    access_key: SecretStr = SecretStr("")
    reconnect_timeout: float = Field(30.0, ge=0, description="Seconds for which a connection is tried.")
    dial_rate: int = Field(15, ge=1, description="The most media streams dialled in a second.")
    start_timeout: float = Field(
        2.0, ge=0, le=60, description="Seconds to wait for the first sound of a call before anything is played."
    )

    @property
    def has_credential(self) -> bool:
        """Whether a token or an access key is set, without which VoIPBIN refuses all requests."""
        return bool(self.token.get_secret_value().strip() or self.access_key.get_secret_value().strip())

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.token.get_secret_value().strip() and self.access_key.get_secret_value().strip():
            raise ValueError("there is a token and an access_key: set only one of them")
        return self


class EventSettings(Table):
    """`[events]`: a URL of the operator's to which events are posted."""

    url: Annotated[str, AfterValidator(lambda url: url and validate_web_url(url))] = ""
    secret: SecretStr = SecretStr("")
    types: tuple[str, ...] = ()
    timeout: float = Field(5.0, gt=0, description="Seconds that one attempt may take.")
    give_up: float = Field(60.0, ge=0, description="Seconds for which the server tries to deliver an event.")
    queue: int = Field(10_000, ge=1)


class LogSettings(Table):
    """`[log]`: how much is logged, and in which format."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class PathSettings(Table):
    """`[paths."/…"]`: the handler of a path, its wire format, access and limits, and its handler's settings."""

    model_config = ConfigDict(extra="allow")

    handler: str
    encapsulation: Encapsulation | None = None
    framing: Framing | None = None
    rtp_payload: RtpPayload | None = None
    inbound: InboundCodec | None = None
    lead: int | None = Field(None, ge=0, le=10)
    tokens: Tokens | None = None
    allow: Networks | None = None
    max_streams: int | None = Field(None, ge=1)
    time_limit: float | None = Field(None, ge=0)
    flow: bool = Field(False, description="Whether VoIPBIN's action `fetch` may ask for the path.")
    flow_full: FlowActions | None = Field(
        None, description="The actions of a call for whose media there is no port."
    )

    @property
    def handler_settings(self) -> dict[str, Any]:
        """The settings of the URL path that its handler defines, by key. Their values are not validated yet."""
        return dict(self.model_extra or {})


DEFAULT_PATHS: dict[str, dict[str, Any]] = {
    "/audio-stream": {"handler": "playback", "prompt": "welcome"},
    "/play/{prompt:.+}": {"handler": "playback", "prompt": "{prompt}"},
    "/hold": {"handler": "hold-music", "prompts": ["music/*"]},
    "/tone/{tone}": {"handler": "tone", "tone": "{tone}"},
    "/silence": {"handler": "silence"},
}


class Settings(Table):
    """All settings: one attribute for each table, and for each list of tables."""

    server: ServerSettings = ServerSettings()
    tls: TlsSettings = TlsSettings()
    audiosocket: AudioSocketSettings = AudioSocketSettings()
    flows: FlowSettings = FlowSettings()
    attach: tuple[AttachRule, ...] = ()
    admin: AdminSettings = AdminSettings()
    prompts: PromptSettings = PromptSettings()
    defaults: Defaults = Defaults()
    voipbin: VoipbinSettings = VoipbinSettings()
    events: EventSettings = EventSettings()
    speech: SpeechSettings = SpeechSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    chat: ChatSettings = ChatSettings()
    log: LogSettings = LogSettings()
    paths: dict[str, PathSettings] = Field(default_factory=lambda: _paths(DEFAULT_PATHS))

    _variables: Mapping[KeyPath, str] = PrivateAttr(default_factory=dict)
    _file: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    _invalid_tables: frozenset[str] = PrivateAttr(default=frozenset())
    _invalid_paths: frozenset[str] = PrivateAttr(default=frozenset())

    def set_sources(self, variables: Mapping[KeyPath, str], file: Mapping[str, Any], paths: Any) -> None:
        """Remember which keys environment variables or the file set, and which tables of `[paths]` are left out.

        `variables` has the names of environment variables by key, `file` the tables of the file. `paths` has the
        tables of all configured URL paths; those that are not among the validated settings are left out.
        """
        self._variables, self._file = variables, file
        self._invalid_paths = frozenset(map(str, paths if isinstance(paths, dict) else ())) - self.paths.keys()

    def set_invalid_tables(self, keys: Iterable[KeyPath]) -> None:
        """Remember the tables in which settings were invalid, and were dropped."""
        self._invalid_tables = frozenset(str(key[0]) for key in keys if key)

    @property
    def invalid_tables(self) -> frozenset[str]:
        """The tables in which an invalid setting was dropped, so that other settings may wrongly seem missing."""
        return self._invalid_tables

    @property
    def invalid_paths(self) -> frozenset[str]:
        """The configured URL paths that are left out, because too many of their settings are invalid."""
        return self._invalid_paths

    def source(self, where: str, place: KeyPath) -> str:
        """What sets the key `place`: the name of an environment variable, or `where`, the name of the file."""
        for depth in range(len(place), 0, -1):
            if depth < len(place) and _is_in(self._file, place[:depth]):
                break  # the file sets the table at this depth, and no variable sets a deeper key
            if (variable := self._variables.get(place[:depth])) is not None:
                return variable
        return where

    def override(self, table: str, **values: Any) -> "Settings":
        """A copy of the settings with some values of one table replaced. None leaves the old value as it is."""
        given = {key: value for key, value in values.items() if value is not None}
        return self.model_copy(update={table: getattr(self, table).model_copy(update=given)})


def _is_in(table: Any, place: KeyPath) -> bool:
    for part in place:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def _paths(tables: dict[str, dict[str, Any]]) -> dict[str, PathSettings]:
    return {path: PathSettings.model_validate(table) for path, table in tables.items()}
