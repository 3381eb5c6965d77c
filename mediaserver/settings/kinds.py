"""What settings are made of: tables, and values that pydantic has no kind for."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_web(url: str) -> str:
    """An HTTP URL; ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be a URL that begins with http:// or https://")
    _ = parts.port  # ValueError where it is none
    return url


def is_socket(url: str) -> str:
    """A WebSocket URL; ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("should be a URL that begins with ws:// or wss://")
    _ = parts.port
    return url


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


def _is_there(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("an empty token is none")
    return secret


WebUrl = Annotated[str, AfterValidator(is_web)]
WebSocketUrl = Annotated[str, AfterValidator(is_socket)]
ApiUrl = Annotated[WebUrl, AfterValidator(has_no_query)]
LanguageTag = Annotated[str, AfterValidator(is_language)]
Networks = tuple[Annotated[Network, BeforeValidator(_network)], ...]
Tokens = tuple[Annotated[SecretStr, AfterValidator(_is_there)], ...]


class Table(BaseModel):
    """Base of all tables of settings: an unknown key is a mistake, and so is a number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
