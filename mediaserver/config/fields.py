"""What settings are made of: tables, and values that pydantic has no kind for."""

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

from mediaserver.config.mistakes import Place, key_of
from mediaserver.config.strictness import hold
from mediaserver.support.urls import origin

_MAPPED = 96  # bits in front of an address of IPv4 that is mapped into IPv6

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class UrlError(ValueError):
    """A URL's scheme, host or port is wrong.

    It `is_certain` where none of them has a `{variable}`: one in the path or query never changes them.
    """

    def __init__(self, url: str, message: str) -> None:
        self.is_certain = "://" in url and "{" not in origin(url)
        super().__init__(message)


class OpenHostError(UrlError):
    """A {variable} stands where a URL says which server is asked. No value of it makes that right."""

    def __init__(self, url: str) -> None:
        super().__init__(
            url,
            "no {variable} is filled into a URL before its path: write out its scheme, host and port, such as"
            " wss://bots.example.com/{name}",
        )
        self.is_certain = True


def is_web(url: str) -> str:
    """An HTTP URL; UrlError where it is none."""
    return _check(url, "http", "https")


def is_socket(url: str) -> str:
    """A WebSocket URL; UrlError where it is none."""
    return _check(url, "ws", "wss")


def names_its_server(url: str) -> None:
    """OpenHostError where a variable of a path is to say which server is asked, and so who is sent its token."""
    if re.search(r"\{\w+\}", origin(url)):
        raise OpenHostError(url)


def _check(url: str, *schemes: str) -> str:
    if "://" not in url:  # of those with it, `build` tells: also where they are no setting of ours
        names_its_server(url)
    told = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
    except ValueError as error:  # brackets around what is no IPv6 address
        raise UrlError(url, str(error)) from error
    if parts.scheme not in schemes or not parts.hostname:
        raise UrlError(url, f"should be a URL that begins with {told}")
    try:
        _ = parts.port
    except ValueError:
        raise UrlError(url, "the port in the URL should be a whole number up to 65535") from None
    return url


def has_no_query(url: str) -> str:
    """A URL that more can be added to; ValueError where it cannot."""
    if "?" in url or "#" in url:
        raise ValueError("should have no query: what is asked for is added to it")
    return url


def is_host_name(name: str) -> str:
    """The name of a host, in lower case; ValueError where it is none."""
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?", name):
        raise ValueError(
            "should be the whole name of a host, such as media.internal, with no scheme and no port; addresses"
            " pass without one"
        )
    return name.lower().removesuffix(".")


def is_language(tag: str) -> str:
    """A language's tag by its form; ValueError where it is none."""
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError("should be a BCP 47 tag, such as en or en-GB")
    return tag


def _is_json(value: Any) -> Any:
    """A value that JSON can carry (RFC 8259); ValueError, of a line for each part of it that it cannot."""
    wrong = [f"{key_of(place)}: {why}" if place else why for place, why in _unlike_json(value)]
    if wrong:
        raise ValueError("\n".join(wrong))
    return value


def _unlike_json(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    if isinstance(value, date | time):
        yield place, "is a date or a time, which JSON does not have: put it in quotes"
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, "should be a finite number"
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unlike_json(each, (*place, key))


def _network(value: object) -> Network:
    """A network; one of IPv4-mapped addresses (RFC 4291, section 2.5.5.2) as what it is in IPv4.

    A peer's address is compared as IPv4 where it is mapped.
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
HostName = Annotated[str, AfterValidator(is_host_name)]
JsonValue = Annotated[Any, AfterValidator(_is_json)]
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
