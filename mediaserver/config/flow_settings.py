"""`[flows]`: the listener that answers VoIPBIN's action `fetch`, and the types of settings about flows."""

import re
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, SecretStr, model_validator

from mediaserver.config.fields import (
    ListenHost,
    Networks,
    Table,
    validate_host_name,
    validate_no_query,
    validate_web_url,
)
from mediaserver.wire.voipbin.actions import validate_actions
from mediaserver.wire.voipbin.destination import Destination

_MAX_PORTS = 2000  # the maximum number of media ports; each takes two file descriptors


def _parse_destination(value: Any) -> Any:
    return Destination.parse(value) if isinstance(value, str) else value


def _parse_transfer_target(value: Any) -> Any:
    if isinstance(value, str):
        return validate_web_url(value) if "://" in value else Destination.parse(value)
    return value


def _port_range(text: str) -> str:
    found = re.fullmatch(r"([1-9][0-9]{0,4})-([1-9][0-9]{0,4})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < first <= last <= 65535:
        raise ValueError('should be the first and the last port, such as "9100-9199"')
    if last - first >= _MAX_PORTS:
        raise ValueError(f"has {last - first + 1} ports: at most {_MAX_PORTS} are allowed")
    return text


DestinationText = Annotated[InstanceOf[Destination], BeforeValidator(_parse_destination)]
# A destination to which a call is transferred, or the URL of a webhook that is asked to transfer the call.
TransferTarget = Annotated[InstanceOf[Destination] | str, BeforeValidator(_parse_transfer_target)]
FlowActions = Annotated[tuple[Any, ...], AfterValidator(validate_actions)]
OptionalHostName = Annotated[str, AfterValidator(lambda name: name and validate_host_name(name))]
PortRange = Annotated[str, AfterValidator(_port_range)]
OptionalUrl = Annotated[str, AfterValidator(lambda url: url and validate_no_query(validate_web_url(url)))]


class FlowSettings(Table):
    """`[flows]`: the endpoint for VoIPBIN's action `fetch`, and for webhooks. Each is off without its secret."""

    host: ListenHost = "0.0.0.0"  # noqa: S104 - a proxy on another machine may pass requests on
    port: int = Field(8082, ge=0, le=65535)
    public_url: OptionalUrl = Field("", description="The URL at which VoIPBIN reaches /flow of this listener.")
    secret: SecretStr = SecretStr("")
    webhook_secret: SecretStr = SecretStr("")
    media_host: OptionalHostName = Field("", description="The host that VoIPBIN's Asterisk dials for the media.")
    media_ports: PortRange = Field(
        "9100-9199", description="The range of media ports. Each call leases one of them."
    )
    allow: Networks = Field((), description="The networks that may dial the media ports.")
    source: str = Field(
        "", pattern=r"^(\+[1-9][0-9]{2,14})?$", description="The number shown to whom a call is transferred."
    )
    max_actions: int = Field(90, ge=25, le=1000, description="The most actions that the server uses of one flow.")
    poll: float = Field(2.0, ge=0.5, le=30, description="Seconds until VoIPBIN learns of a decision, after a key.")
    max_poll: float = Field(20.0, ge=1, le=60, description="The same long after a key, in seconds.")
    dial_timeout: float = Field(10.0, gt=0, le=60, description="Seconds within which Asterisk must dial a port.")

    @property
    def enabled(self) -> bool:
        """Whether `secret` is set, without which VoIPBIN's action `fetch` is not answered."""
        return bool(self.secret.get_secret_value().strip())

    @property
    def takes_webhooks(self) -> bool:
        """Whether `webhook_secret` is set, with which VoIPBIN signs its webhooks."""
        return bool(self.webhook_secret.get_secret_value().strip())

    @property
    def listens(self) -> bool:
        """Whether the flow port is opened: for VoIPBIN's action `fetch`, for its webhooks, or for both."""
        return self.enabled or self.takes_webhooks

    @property
    def ports(self) -> range:
        """The numbers of the media ports."""
        first, _, last = self.media_ports.partition("-")
        return range(int(first), int(last) + 1)

    def fetch_url(self, path: str, secret: str | None = None) -> str:
        """The URL at which VoIPBIN's `fetch` requests the actions of the URL path `path`, which may have a query.

        The URL contains the secret, and must not be logged. If `secret` is None, the URL has `<secret>` instead.
        """
        shown = "<secret>" if secret is None else quote(secret, safe="")
        return f"{self.public_url.rstrip('/')}/{shown}{path}"

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        missing = [key for key in ("public_url", "media_host") if not getattr(self, key)]
        if self.enabled and missing:
            raise ValueError(
                f"with a secret, {' and '.join(missing)} must be set: VoIPBIN is told how to reach us"
            )
        return self
