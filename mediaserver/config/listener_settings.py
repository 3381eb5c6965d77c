"""`[server]`, `[tls]`, `[audiosocket]`, `[admin]`: the listeners and their limits."""

import ipaddress
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from mediaserver.config.fields import HostName, ListenHost, Networks, PortNumber, Table, validate_web_url

FRAME_MESSAGE = 340  # the size in bytes of a message with one 20 ms frame, in the largest encapsulation


class ServerSettings(Table):
    """`[server]`: the public listener that VoIPBIN dials, and its limits."""

    host: ListenHost = "0.0.0.0"  # noqa: S104 - other machines dial this listener
    port: int = Field(8080, ge=0, le=65535)
    reuse_port: bool = False
    trusted_proxies: Networks = ()
    max_streams: int = Field(10_000, ge=1)
    max_streams_per_peer: int = Field(10_000, ge=1)
    max_texts_per_peer: int = Field(600, ge=1, description="The most different texts a minute per address.")
    handshake_rate: int = Field(2_000, ge=1, description="The most WebSocket handshakes a second.")
    handshake_timeout: float = Field(10.0, gt=0, description="Seconds for TLS, and for the request.")
    max_header_bytes: int = Field(16_384, ge=1_024)
    max_message_bytes: int = Field(65_536, ge=1_024)
    max_message_rate: int = Field(500, ge=100, description="messages a second from one peer")
    heartbeat: float = Field(20.0, ge=0, le=32_767, description="Seconds between pings. With 0 there are none.")

    drain_timeout: float = Field(30.0, ge=0, description="Seconds that streams may go on at shutdown.")
    stall_timeout: float = Field(
        10.0, ge=0.1, description="Seconds after which a peer that reads nothing is disconnected."
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
    """`[tls]`: the certificate and the key of the public listener."""

    certificate: str = ""
    key: str = ""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key go together: one of them is missing")
        return self


class AudioSocketSettings(Table):
    """`[audiosocket]`: the listener for Asterisk's AudioSocket over TCP. Without ports, it is off."""

    host: ListenHost = "0.0.0.0"  # noqa: S104 - other machines dial this listener
    ports: dict[PortNumber, str] = Field(
        default_factory=dict, description="Each port, and the path that its calls get."
    )
    allow: Networks = ()


class Scope(StrEnum):
    """What a token of the admin port allows."""

    READ = "read"  # permits to read metrics, streams and the events of streams
    LISTEN = "listen"  # permits to listen to the sound of calls
    CONTROL = "control"  # permits to dial, to play prompts, and to hang up
    PROMPTS = "prompts"  # permits to change prompts


TokenName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


def _validate_sound_url(url: str) -> str:
    """Return the URL of a folder on a web server as it is; ValueError for any other text."""
    parts = urlsplit(validate_web_url(url))
    if not parts.path.endswith("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("should end in a slash, as what is played begins with it: https://sounds.example.com/")
    return url


SoundUrl = Annotated[str, AfterValidator(_validate_sound_url)]


class AdminTokenSettings(Table):
    """`[admin.tokens.<name>]`: a token of the admin port. The log names the token that a request has used."""

    token: SecretStr = Field(description='The token. It can be literal, "env:NAME" or "file:PATH".')
    scopes: tuple[Scope, ...] = Field(
        (Scope.READ,),
        min_length=1,
        description="What the token allows: `read` (metrics, streams, events), `listen` (to calls), `control`"
        " (dial, play, hang up), `prompts` (change prompts).",
    )

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.token.get_secret_value().strip():
            raise ValueError('token is empty: set one, or where to read it, as in "env:NAME"')
        return self


class AdminSettings(Table):
    """`[admin]`: the listener for health, metrics and streams. Its port is never the public one."""

    host: ListenHost = "127.0.0.1"
    port: int = Field(8081, ge=0, le=65535)
    token: SecretStr = SecretStr("")
    tokens: dict[TokenName, AdminTokenSettings] = {}  # noqa: RUF012 - pydantic copies a field's default
    open: bool = False
    hosts: tuple[HostName, ...] = ()
    recordings: str = ""
    play_from: tuple[SoundUrl, ...] = ()
    play_from_networks: Networks = ()

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not (_is_loopback(self.host) or self.token.get_secret_value().strip() or self.tokens or self.open):
            raise ValueError(
                f"{self.host} can be reached from elsewhere: set a token, or open = true if only your own"
                " systems can reach it"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
