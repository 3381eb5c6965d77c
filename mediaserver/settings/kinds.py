"""What settings are made of: tables, and values that pydantic has no kind for."""

import ipaddress
import re
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mediaserver.settings.strictness import hold

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_web(url: str) -> str:
    """An HTTP URL; ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be a URL that begins with http:// or https://")
    _check_port(parts)
    return url


def is_socket(url: str) -> str:
    """A WebSocket URL; ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("should be a URL that begins with ws:// or wss://")
    _check_port(parts)
    return url


def _check_port(parts: SplitResult) -> None:
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("the port in the URL should be a whole number up to 65535") from None


def has_no_query(url: str) -> str:
    """A URL that more can be added to; ValueError where it cannot."""
    if "?" in url or "#" in url:
        raise ValueError("should have no query: what is asked for is added to it")
    return url


def is_language(tag: str) -> str:
    """A language's tag by its form; ValueError where it is none."""
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError("should be a BCP 47 tag, such as en or en-GB")
    return tag


def _network(value: object) -> Network:
    try:
        return ipaddress.ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"should be a network such as 10.0.0.0/8, or an address: {error}") from error


def _port(value: object) -> object:
    """A port as a key of a table: one way to write each, so that none can be there twice."""
    if isinstance(value, str) and not re.fullmatch("[1-9][0-9]{0,4}", value):
        raise ValueError("should be a port, 1 to 65535, in digits alone, such as 9000")
    return value


def _is_there(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("an empty token is none")
    return secret


PortNumber = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_port)]
WebUrl = Annotated[str, AfterValidator(is_web)]
WebSocketUrl = Annotated[str, AfterValidator(is_socket)]
ApiUrl = Annotated[WebUrl, AfterValidator(has_no_query)]
LanguageTag = Annotated[str, AfterValidator(is_language)]
Networks = tuple[Annotated[Network, BeforeValidator(_network)], ...]
Tokens = tuple[Annotated[SecretStr, AfterValidator(_is_there)], ...]


class Table(BaseModel):
    """Base of all tables of settings: an unknown key is a mistake, and so is a value of another kind.

    With a dictionary as the context of a validation, that has each table by the `id` of the values it is made of,
    also where it is wrong as a whole: what else there is can be looked at then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name is not None:
            hold(value, cls.model_fields[info.field_name].annotation)
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _made_known(cls, values: Any, make: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        made = make(values)
        if isinstance(info.context, dict):
            info.context[id(values)] = values, made  # it lives as long as its id is used
        return made
