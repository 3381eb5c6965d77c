"""Types, bounds and defaults in words, which do not depend on how a version of Python prints them."""

import json
import re
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from mediaserver.config.fields import OneOrMore
from mediaserver.speech.text.template import Template
from mediaserver.wire.voipbin.destination import Destination

_NAMES: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    Path: "path",
    SecretStr: "secret",
    Template: "text",
    Destination: "destination",
    IPv4Network: "network",
    IPv6Network: "network",
    Any: "any JSON value",
}


def name_of(kind: Any) -> str:
    """A type in words, such as `"a" or "b"`, `list of string`, `integer or null`."""
    if kind in _NAMES:
        return _NAMES[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Annotated, Required, NotRequired):
        name = name_of(arguments[0])
        return f"{name_of(get_args(arguments[0])[0])}, or {name}" if is_one_or_more(arguments) else name
    if origin is Literal:
        return _either(json.dumps(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return _either(name_of(each) for each in arguments if each is not types.NoneType)
    if origin in (tuple, list):
        return f"list of {name_of(arguments[0])}"
    if origin is dict:
        return f"table of {name_of(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _either(json.dumps(str(each.value)) for each in kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        title = title_of(kind)
        return f"[{title}](#{title.lower().replace(' ', '-')})"
    raise TypeError(f"no words for {kind}: add some to {__name__}")


def is_one_or_more(metadata: Iterable[Any]) -> bool:
    """Whether a single value may be given in place of a list, by the metadata of the field."""
    return any(isinstance(each, OneOrMore) for each in metadata)


def title_of(table: type[BaseModel]) -> str:
    """The heading of a table that is nested in others, such as `Menu table`."""
    words = re.findall("[A-Z][a-z]*", table.__name__.removesuffix("Settings"))
    return f"{' '.join(words).capitalize()} table"


def _either(names: Any) -> str:
    return " or ".join(dict.fromkeys(names))  # without repeats: IPv4 and IPv6 networks are both "network"


def may_be_null(kind: Any) -> bool:
    """Whether a type allows None."""
    origin = get_origin(kind)
    if origin in (Annotated, Required, NotRequired):
        return may_be_null(get_args(kind)[0])
    return types.NoneType in get_args(kind)


def bounds(field: FieldInfo) -> str:
    """The bounds of a number, such as `0 to 65535`; "" where there are none."""
    least = most = ""
    for each in field.metadata:
        match each:
            case Ge(ge=value):
                least = f"{value:,}".replace(",", " ")
            case Gt(gt=value):
                least = f"above {value}"
            case Le(le=value) | Lt(lt=value):
                most = f"{value:,}".replace(",", " ")
    if least and most:
        return f"{least} to {most}"
    if least:
        return least if least.startswith("above") else f"{least} or more"
    return f"{most} or less" if most else ""


def default(field: FieldInfo) -> str:
    """The default of a field in TOML; "" if there is none."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if is_one_or_more(field.metadata) and value is not None and len(value) == 1:
        value = value[0]
    return "" if value is None else toml(value)


def toml(value: Any) -> str:
    """A value in TOML, as a configuration has it."""
    match value:
        case BaseModel():
            return toml(value.model_dump(exclude_defaults=True, mode="json"))
        case SecretStr():
            return toml(value.get_secret_value())
        case Enum():
            return toml(str(value.value))
        case Path():
            return toml(value.as_posix())
        case Template():
            return toml(str(value))
        case Mapping():
            return (
                "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }" if value else "{}"
            )
        case tuple() | list():
            return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
