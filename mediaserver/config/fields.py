"""The types of settings, with validators: the base class of all tables, and URLs, networks, ports and tokens."""

import contextlib
import ipaddress
import math
import re
from collections.abc import Iterator
from datetime import date, time
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

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

from mediaserver.config.error_messages import KeyPath, format_key
from mediaserver.config.strict_types import check_type
from mediaserver.support.urls import origin

_MAPPED = 96  # the number of bits before the IPv4 address in an IPv4-mapped IPv6 address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class UrlError(ValueError):
    """A URL's scheme, host or port is invalid.

    `is_certain` is True if scheme, host and port have no `{variable}`. In this case the error remains, whatever
    values are filled in for variables in the path or query.
    """

    def __init__(self, url: str, message: str) -> None:
        self.is_certain = "://" in url and "{" not in origin(url)
        super().__init__(message)


class VariableHostError(UrlError):
    """A URL has a `{variable}` in its scheme, user, host or port, so that a caller could choose the server."""

    def __init__(self, url: str) -> None:
        super().__init__(
            url,
            "no {variable} is filled into a URL before its path: write out its scheme, host and port, such as"
            " wss://bots.example.com/{name}",
        )
        self.is_certain = True


def validate_web_url(url: str) -> str:
    """Return an http:// or https:// URL as it is; UrlError for any other text."""
    return _validate_url(url, "http", "https")


def validate_websocket_url(url: str) -> str:
    """Return a ws:// or wss:// URL as it is; UrlError for any other text."""
    return _validate_url(url, "ws", "wss")


def check_fixed_host(url: str) -> None:
    """Raise VariableHostError if a variable chooses a URL's server, because the server is sent a token."""
    if re.search(r"\{\w+\}", origin(url)):
        raise VariableHostError(url)


def _validate_url(url: str, *schemes: str) -> str:
    if "://" not in url:  # `build_routes` checks the hosts of all settings' texts that have ://
        check_fixed_host(url)
    allowed = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
    except ValueError as error:  # the URL has, for example, brackets without an IPv6 address
        raise UrlError(url, str(error)) from error
    if parts.scheme not in schemes or not parts.hostname:
        raise UrlError(url, f"should be a URL that begins with {allowed}")
    try:
        _ = parts.port
    except ValueError:
        raise UrlError(url, "the port in the URL should be a whole number up to 65535") from None
    return url


def validate_no_query(url: str) -> str:
    """Return a URL as it is; ValueError if it has a query or fragment, after which no path can be added."""
    if "?" in url or "#" in url:
        raise ValueError("should have no query: the path of each request is added to the URL")
    return url


def validate_host_name(name: str) -> str:
    """Return a host name in lower case, without the dot at its end; ValueError if the text is no host name."""
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?", name):
        raise ValueError(
            "should be the whole name of a host, such as media.internal, with no scheme and no port;"
            " IP addresses need no entry"
        )
    return name.lower().removesuffix(".")


def validate_listen_host(host: str) -> str:
    """Return the address or host name of a listener as it is; ValueError for text that can be neither of them.

    An empty text stands for all addresses.
    """
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return host
    if host and (not re.fullmatch(r"[\w.-]+", host) or re.fullmatch(r"[\d.]+", host)):
        raise ValueError('should be an address or a host name, without scheme and port, such as "127.0.0.1"')
    return host


def validate_language_tag(tag: str) -> str:
    """Return a BCP 47 language tag as it is, checked only by its form; ValueError for text of another form."""
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError("should be a BCP 47 tag, such as en or en-GB")
    return tag


def _validate_json(value: Any) -> Any:
    """Return a value that JSON can represent (RFC 8259); ValueError has a line for each part that JSON cannot."""
    wrong = [f"{format_key(key)}: {why}" if key else why for key, why in _non_json(value)]
    if wrong:
        raise ValueError("\n".join(wrong))
    return value


def _non_json(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, date | time):
        yield path, "is a date or a time, which JSON does not have: put it in quotes"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "should be a finite number"
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _non_json(each, (*path, key))


def _network(value: object) -> Network:
    """An IP network. A network of IPv4-mapped addresses (RFC 4291, section 2.5.5.2) becomes an IPv4 network.

    The address of a peer, if IPv4-mapped, is turned into IPv4 before it is compared with a network.
    """
    try:
        given = ipaddress.ip_interface(str(value))
        if isinstance(given, ipaddress.IPv4Interface) or given.ip.ipv4_mapped is None:
            return ipaddress.ip_network(str(value))
        length = given.network.prefixlen - _MAPPED
        if length >= 0:
            return ipaddress.ip_network(f"{given.ip.ipv4_mapped}/{length}")
    except ValueError as error:
        raise ValueError(f"should be a network such as 10.0.0.0/8, or an address: {error}") from error
    raise ValueError(
        f"is of IPv4-mapped addresses, which have {_MAPPED} bits in common: write it as IPv4, such as 10.0.0.0/8"
    )


def _port(value: object) -> object:
    """Check a port that is the key of a table. Only plain digits are allowed, or 80 and 080 would be two keys."""
    if isinstance(value, str) and not re.fullmatch("[1-9][0-9]{0,4}", value):
        raise ValueError("should be a port, 1 to 65535, in digits alone, such as 9000")
    return value


def _validate_not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("a token must not be empty")
    return secret


PortNumber = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_port)]
WebUrl = Annotated[str, AfterValidator(validate_web_url)]
WebSocketUrl = Annotated[str, AfterValidator(validate_websocket_url)]
ApiUrl = Annotated[WebUrl, AfterValidator(validate_no_query)]
HostName = Annotated[str, AfterValidator(validate_host_name)]
ListenHost = Annotated[str, AfterValidator(validate_listen_host)]
JsonValue = Annotated[Any, AfterValidator(_validate_json)]
LanguageTag = Annotated[str, AfterValidator(validate_language_tag)]
OptionalLanguageTag = Annotated[str, AfterValidator(lambda tag: tag and validate_language_tag(tag))]
Networks = tuple[Annotated[Network, BeforeValidator(_network)], ...]
Tokens = tuple[Annotated[SecretStr, AfterValidator(_validate_not_blank)], ...]


class OneOrMore:
    """Marks, for the reference of settings, a list for which a single value may stand without brackets."""


class Table(BaseModel):
    """Base class of all tables of settings, and of bodies of requests.

    An unknown key is a mistake, and so is a value of the wrong type.

    If pydantic's validation context is a dictionary, each table that is built is stored in it, under the `id` of
    the table's raw values. A table that only its own validators find invalid is stored as well, so that its values
    can still be checked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _check_types(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name is not None:
            check_type(value, cls.model_fields[info.field_name].annotation)
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _collect_built(cls, values: Any, build: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        built = build(values)
        if isinstance(info.context, dict):
            info.context[id(values)] = values, built  # keeping `values` alive stops Python from reusing its `id`
        return built
