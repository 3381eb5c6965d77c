"""Values of a setting's kind: `port = true` is no port, `time_limit = false` no time, `shared = 1` no choice.

A file says what kind a value is of. What an environment variable or a URL says is text, whatever it stands for:
that alone is converted.
"""

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic_core import PydanticKnownError

_KINDS: dict[
    type, tuple[tuple[type, ...], str]
] = {  # what may stand for it, and pydantic's error where nothing does
    int: ((int,), "int_type"),
    float: ((int, float), "float_type"),
    bool: ((bool,), "bool_type"),
}


class Text(str):
    """A value as text of an environment variable or of a URL: what kind it is of, its setting says."""

    __slots__ = ()


def misfit(value: Any, kind: Any) -> str:
    """Pydantic's word for the error where a value is not of a setting's kind, "" where it may be.

    Only numbers and choices are looked at here, in lists and tables too; pydantic knows the rest.
    """
    if isinstance(value, Text):
        return ""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        kinds = [each for each in arguments if each is not NoneType or value is None]
        found = [_no_text(value) if each is str else misfit(value, each) for each in kinds]
        return "" if "" in found else found[0]
    if origin in (list, tuple, set, frozenset) and isinstance(value, list | tuple):
        return next(filter(None, (misfit(each, arguments[0]) for each in value)), "")
    if origin is dict and isinstance(value, dict):
        return next(filter(None, (misfit(each, arguments[1]) for each in value.values())), "")
    if origin is Annotated:
        return misfit(value, arguments[0])
    accepted, error = _KINDS.get(kind, ((object,), ""))
    is_choice = isinstance(value, bool) and kind in (int, float)  # to Python, True is a number
    return error if is_choice or not isinstance(value, accepted) else ""


def _no_text(value: Any) -> str:
    return "string_type" if isinstance(value, int | float) else ""


def hold(value: Any, kind: Any) -> None:
    """Pydantic's error where a value is not of a setting's kind."""
    if error := misfit(value, kind):
        raise PydanticKnownError(error)  # type: ignore[arg-type]  # one of its own words
