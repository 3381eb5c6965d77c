"""Strict types for settings: `port = true`, `time_limit = false` and `shared = 1` are mistakes.

TOML values have types, which pydantic would silently convert to a setting's type. Text from an environment
variable or a URL (`RawText`) has no type of its own, so only such text is converted.
"""

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic_core import PydanticKnownError

# The types that the value of a setting may have, and the type of pydantic's error for any other value, by the type
# of the setting.
_ACCEPTED: dict[type, tuple[tuple[type, ...], str]] = {
    int: ((int,), "int_type"),
    float: ((int, float), "float_type"),
    bool: ((bool,), "bool_type"),
}


class RawText(str):
    """Text from an environment variable or a URL, to be converted to the type of the setting."""

    __slots__ = ()


def type_error(value: Any, kind: Any) -> str:
    """The type of pydantic's error if a value has the wrong type for a setting of type `kind`, else "".

    Only numbers and booleans are checked, also inside lists and tables. Pydantic checks all other types.
    """
    if isinstance(value, RawText):
        return ""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        members = [each for each in arguments if each is not NoneType or value is None]
        found = [_string_error(value) if each is str else type_error(value, each) for each in members]
        return "" if "" in found else found[0]
    if origin in (list, tuple, set, frozenset) and isinstance(value, list | tuple):
        return next(filter(None, (type_error(each, arguments[0]) for each in value)), "")
    if origin is dict and isinstance(value, dict):
        return next(filter(None, (type_error(each, arguments[1]) for each in value.values())), "")
    if origin is Annotated:
        return type_error(value, arguments[0])
    accepted, error = _ACCEPTED.get(kind, ((object,), ""))
    # A boolean is no number in settings, although True and False are instances of int in Python.
    is_boolean = isinstance(value, bool) and kind in (int, float)
    return error if is_boolean or not isinstance(value, accepted) else ""


def number_of(value: Any) -> float | None:
    """A setting's value as a number; None if it is no number, or is a text that a TOML file has in quotes."""
    if isinstance(value, RawText):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _string_error(value: Any) -> str:
    return "string_type" if isinstance(value, int | float) else ""


def check_type(value: Any, kind: Any) -> None:
    """Raise PydanticKnownError if a value has the wrong type for a setting of type `kind`."""
    if error := type_error(value, kind):
        raise PydanticKnownError(error)  # type: ignore[arg-type]  # one of pydantic's own types of errors
