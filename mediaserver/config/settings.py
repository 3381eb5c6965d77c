"""Every setting there is, as models. `config.example.toml` is the reference that explains each."""

import ipaddress
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from mediaserver.config.fields import ApiUrl, HostName, Networks, PortNumber, Table, Tokens, is_web
from mediaserver.config.mistakes import Place
from mediaserver.config.speech_settings import ChatSettings, RecognitionSettings, SpeechSettings

ACCESS_KEY = "vb_"  # what the platform's access keys begin with
FRAME_MESSAGE = 340  # bytes: a frame in any encapsulation


class ServerSettings(Table):
    """`[server]`: the public listener that VoIPBIN dials, and its limits."""

    host: str = "0.0.0.0"  # noqa: S104 - it is there to be dialled
    port: int = Field(8080, ge=0, le=65535)
    reuse_port: bool = False
    trusted_proxies: Networks = ()
    max_streams: int = Field(10_000, ge=1)
    max_streams_per_peer: int = Field(10_000, ge=1)
    max_texts_per_peer: int = Field(600, ge=1, description="different texts a minute that strangers have spoken")
    handshake_rate: int = Field(2_000, ge=1, description="handshakes a second")
    handshake_timeout: float = Field(10.0, gt=0, description="seconds from the connection to its request")
    max_header_bytes: int = Field(16_384, ge=1_024)
    max_message_bytes: int = Field(65_536, ge=1_024)
    max_message_rate: int = Field(500, ge=100, description="messages a second from one peer")
    heartbeat: float = Field(20.0, ge=0, le=32_767, description="seconds between pings; 0 for none")

    drain_timeout: float = Field(30.0, ge=0, description="seconds that streams may take to end at shutdown")
    stall_timeout: float = Field(
        10.0, ge=0.1, description="seconds after which a peer that takes nothing is closed"
    )

    @model_validator(mode="after")
    def _one_message_is_no_flood(self) -> Self:
        most = self.max_message_rate * FRAME_MESSAGE
        if self.max_message_bytes > most:
            raise ValueError(
                f"max_message_bytes is more than a peer may send in a second, max_message_rate times"
                f" {FRAME_MESSAGE}: {most}"
            )
        return self


class TlsSettings(Table):
    """`[tls]`: of the public listener."""

    certificate: str = ""
    key: str = ""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key go together: one of them is missing")
        return self


class AudioSocketSettings(Table):
    """`[audiosocket]`: Asterisk's AudioSocket over TCP. Off without ports."""

    host: str = "0.0.0.0"  # noqa: S104 - it is there to be dialled
    ports: dict[PortNumber, str] = Field(default_factory=dict, description="which path answers on which port")
    allow: Networks = ()


class AdminSettings(Table):
    """`[admin]`: health, metrics and the streams, never on the public port."""

    host: str = "127.0.0.1"
    port: int = Field(8081, ge=0, le=65535)
    token: SecretStr = SecretStr("")
    open: bool = False
    hosts: tuple[HostName, ...] = ()

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not (_is_loopback(self.host) or self.token.get_secret_value().strip() or self.open):
            raise ValueError(
                f"{self.host} can be reached from elsewhere: set a token, or open = true where none but your own"
                " systems get there"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class PromptSettings(Table):
    """`[prompts]`: the folder of sound files."""

    directory: Path = Path("prompts")
    memory_limit: int = Field(512, ge=1, description="MB of ready-made messages")
    longest: float = Field(7200.0, gt=0, le=86_400, description="seconds of one prompt")
    cache: str = Field("auto", min_length=1, description="folder for decoded sound, auto or off")
    cache_limit: int = Field(1024, ge=1, description="MB of decoded sound on disk")
    watch: Literal["auto", "events", "poll", "off"] = "auto"
    poll_interval: float = Field(5.0, ge=0.05, description="seconds between two looks at the folder")
    settle: float = Field(1.0, ge=0.05, description="seconds for which a file must stay as it is")

    @property
    def cache_directory(self) -> Path | None:
        """Where decoded sound is kept; None for nowhere: off, or in a home where there is none."""
        if self.cache == "off":
            return None
        given = os.environ.get("XDG_CACHE_HOME", "")
        auto = Path(given if Path(given).is_absolute() else "~/.cache") / "mediaserver"
        wanted = auto if self.cache == "auto" else Path(self.cache)
        place = Path(os.path.expanduser(wanted))  # noqa: PTH111 - pathlib's raises where there is no home
        return place if place.is_absolute() or not str(wanted).startswith("~") else None


class Defaults(Table):
    """`[defaults]`, and the same keys in a path."""

    encapsulation: Literal["audiosocket", "rtp", "sln"] = "audiosocket"
    framing: Literal["auto", "pcm", "message"] = "auto"
    rtp_payload: Literal["auto", "pcmu", "pcma", "l16"] = "auto"
    inbound: Literal["auto", "slin", "mulaw", "alaw"] = "auto"
    lead: int = Field(1, ge=0, le=10, description="frames sent ahead of their time")
    tokens: Tokens = ()
    allow: Networks = ()
    max_streams: int = Field(10_000, ge=1, description="on one path")
    time_limit: float = Field(86_400.0, ge=0, description="seconds that a stream may last; 0 for ever")


class VoipbinSettings(Table):
    """`[voipbin]`: the platform that we dial."""

    api: ApiUrl = "https://api.voipbin.net/v1.0"
    token: SecretStr = SecretStr("")
    access_key: SecretStr = SecretStr("")
    reconnect_timeout: float = Field(30.0, ge=0, description="seconds to go on trying after a connection broke")
    dial_rate: int = Field(15, ge=1, description="media streams dialled in a second")
    start_timeout: float = Field(
        2.0, ge=0, le=60, description="seconds to wait for the first sound of a call before a handler is heard"
    )

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if self.token.get_secret_value().strip() and self.access_key.get_secret_value().strip():
            raise ValueError("there is a token and an access_key: set only one of them")
        return self


class EventSettings(Table):
    """`[events]`: a URL of the operator's that is told what happens."""

    url: Annotated[str, AfterValidator(lambda url: url and is_web(url))] = ""
    secret: SecretStr = SecretStr("")
    types: tuple[str, ...] = ()
    timeout: float = Field(5.0, gt=0, description="seconds for one attempt")
    give_up: float = Field(60.0, ge=0, description="seconds after which an event is let go of")
    queue: int = Field(10_000, ge=1)


class LogSettings(Table):
    """`[log]`: how much is logged, and how it is written."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class PathSettings(Table):
    """`[paths."/…"]`: a handler, how to speak, and the handler's own settings beside them."""

    model_config = ConfigDict(extra="allow")

    handler: str
    encapsulation: Literal["audiosocket", "rtp", "sln"] | None = None
    framing: Literal["auto", "pcm", "message"] | None = None
    rtp_payload: Literal["auto", "pcmu", "pcma", "l16"] | None = None
    inbound: Literal["auto", "slin", "mulaw", "alaw"] | None = None
    lead: int | None = Field(None, ge=0, le=10)
    tokens: Tokens | None = None
    allow: Networks | None = None
    max_streams: int | None = Field(None, ge=1)
    time_limit: float | None = Field(None, ge=0)

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


class Settings(Table):
    """Everything that can be set."""

    server: ServerSettings = ServerSettings()
    tls: TlsSettings = TlsSettings()
    audiosocket: AudioSocketSettings = AudioSocketSettings()
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

    _variables: Mapping[Place, str] = PrivateAttr(default_factory=dict)
    _file: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    _mistaken: frozenset[str] = PrivateAttr(default=frozenset())
    _left_out: frozenset[str] = PrivateAttr(default=frozenset())

    def know(self, variables: Mapping[Place, str], file: Mapping[str, Any], paths: Any) -> None:
        """Know which environment variables set what, what a file has, and which paths there were to be, if any."""
        self._variables, self._file = variables, file
        self._left_out = frozenset(map(str, paths if isinstance(paths, dict) else ())) - self.paths.keys()

    def know_mistakes(self, places: Iterable[Place]) -> None:
        """Know where something was wrong, and left out."""
        self._mistaken = frozenset(str(place[0]) for place in places if place)

    @property
    def mistaken(self) -> frozenset[str]:
        """Tables in which something was wrong: what they lack may only follow from that."""
        return self._mistaken

    @property
    def left_out(self) -> frozenset[str]:
        """Paths that are too wrong to be had."""
        return self._left_out

    def source(self, where: str, place: Place) -> str:
        """What says a setting: the environment variable that does, or the file, which is `where`."""
        for depth in range(len(place), 0, -1):
            if depth < len(place) and _is_in(self._file, place[:depth]):
                break  # of a table that both have, what is not a variable's is the file's
            if (variable := self._variables.get(place[:depth])) is not None:
                return variable
        return where

    def override(self, table: str, **values: Any) -> "Settings":
        """A copy with some values of one table replaced; None leaves a value as it is."""
        given = {key: value for key, value in values.items() if value is not None}
        return self.model_copy(update={table: getattr(self, table).model_copy(update=given)})


def _is_in(table: Any, place: Place) -> bool:
    for part in place:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def _paths(tables: dict[str, dict[str, Any]]) -> dict[str, PathSettings]:
    return {path: PathSettings.model_validate(table) for path, table in tables.items()}
