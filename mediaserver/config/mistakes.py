"""What is wrong with settings, told to people: a line for each mistake, with the key to mend.

Secrets are never shown. Pydantic finds the mistakes. `PLAIN` has its errors in plain words.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from mediaserver.errors import did_you_mean, one_line

Place = tuple[str | int, ...]  # keys, and indices of lists, from a table down
_TAGS = ("[key]", "a prompt", "what is said")  # pydantic's places have them, of keys and of unions; files do not
# Keys of settings whose values are never shown.
_SECRETS = {"token", "tokens", "access_key", "secret", "url", "api", "webhook", "transfer"}
_BRIEF = 5  # mistakes of somebody else's, at most, that are told at once
_SCALAR = str | int | float

# Pydantic's errors by their types; {name} is filled in from the error's context.
PLAIN: dict[str, str] = {
    "assertion_error": "{error}",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "dict_type": "should be a table, such as {{ key = value }}",
    "enum": "should be {expected}",
    "finite_number": "should be a finite number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "greater_than": "should be more than {gt:g}",
    "greater_than_equal": "should be {ge:g} or more",
    "int_from_float": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_parsing_size": "should be a whole number of fewer digits",
    "int_type": "should be a whole number",
    "invalid_key": "should be text, in quotes",
    "is_instance_of": "should be a {class}",
    "less_than": "should be less than {lt:g}",
    "less_than_equal": "should be {le:g} or less",
    "list_type": 'should be a list, such as ["a", "b"]',
    "literal_error": "should be {expected}",
    "model_attributes_type": "should be a table, such as {{ key = value }}",
    "model_type": "should be a table, such as {{ key = value }}",
    "none_required": "should not be given",
    "path_type": "should be a path, in quotes",
    "recursion_loop": "holds itself",
    "string_pattern_mismatch": "should match the pattern {pattern}",
    "string_too_long": "should be of at most {max_length} characters",
    "string_too_short": "should be of at least {min_length} characters",
    "string_type": "should be text, in quotes",
    "string_unicode": "should be text in UTF-8",
    "too_long": "should have at most {max_length} entries, not {actual_length}",
    "too_short": "should have at least {min_length} entries, not {actual_length}",
    "tuple_type": 'should be a list, such as ["a", "b"]',
    "union_tag_invalid": "should be {expected_tags}",
    "union_tag_not_found": "should name what it is: {discriminator}",
    "value_error": "{error}",
}
MISSING, UNKNOWN = "missing", "extra_forbidden"  # told by their keys: handler is missing; tokns: unknown setting
_PATTERNS = {"^[0-9A-D*#]*$": "should be keys, of 0-9 A-D * #"}
_BARE = re.compile(r"[\w*#-]+")  # keys without quotes; * and #, of menus, are told without any too
_UNQUOTED = re.compile(r"[+-]?\d[\d_]*(\.\d+)?|true|false")


class Mistake(NamedTuple):
    """A mistake, in words, and where it stands."""

    place: Place
    text: str

    def line(self, where: str) -> str:
        """As it is told; `where` names what the place is a part of."""
        key = key_of(self.place)
        return one_line(f"{where}: {key}: {self.text}" if key else f"{where}: {self.text}")


def problems(where: str, error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A validation error as one line per mistake: where it stands, what is wrong, what may have been meant."""
    return [
        mistake.line(where) for details in error.errors() for mistake in mistakes(details, stated(details), model)
    ]


def in_brief(error: ValidationError) -> str:
    """The mistakes in what somebody else's system says, without the values: these may be private."""
    return "; ".join(dict.fromkeys(map(_in_brief, islice(error.errors(include_url=False), _BRIEF))))


def _in_brief(details: Any) -> str:
    place = stated(details)
    if details["type"] == MISSING:
        return f"{key_of(place)} is missing"
    words = "unknown key" if details["type"] == UNKNOWN else _words(details)
    return f"{key_of(place)}: {words}" if place else words


def mistakes(details: Any, place: Place, model: type[BaseModel], hint: str = "") -> list[Mistake]:
    """One of pydantic's errors; of a whole table it may have several lines. `hint` is of an unknown setting."""
    if details["type"] == MISSING:
        return [Mistake(place[:-1], f"{place[-1]} is missing")]
    if details["type"] == UNKNOWN:
        return [Mistake(place, f"unknown setting{hint or did_you_mean(str(place[-1]), known(place, model))}")]
    value = details["input"]
    shown = isinstance(value, _SCALAR) and not _is_private(place, value, model)
    suffix = f" (it is {_as_written(value)})" if shown else ""
    return [Mistake(place, f"{line}{suffix}") for line in (_words(details) or "is wrong").splitlines()]


def stated(details: Any) -> Place:
    """Where an error stands, without pydantic's own words for parts of unions and for keys."""
    return tuple(part for part in details["loc"] if part not in _TAGS)


def _words(details: Any) -> str:
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind not in PLAIN:  # of a type that only handlers of users' own have
        return re.sub(r"^(Input|Value|String|Data) should (be )?(a valid )?", "should be ", details["msg"])
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "should not be empty"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    text = PLAIN[kind].format_map(_Readable(context))
    if kind in ("literal_error", "enum"):
        text += did_you_mean(str(value), re.findall('"([^"]*)"', text))
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str) and _UNQUOTED.fullmatch(value):
        text += ", without quotes"
    return text


class _Readable(dict[str, Any]):
    """An error's context in words."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        super().__init__(
            (key, value.replace("'", '"') if key.startswith("expected") else value)
            for key, value in context.items()
        )

    def __missing__(self, key: str) -> str:
        return "something else"


def _as_written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _is_private(place: Place, value: object, model: type[BaseModel]) -> bool:
    """Whether a value may hold a secret: it is never shown."""
    is_secret = SecretStr in _kinds_in(kind_at(place, model))
    return is_secret or not _SECRETS.isdisjoint(place) or any(sign in str(value) for sign in ("//", "?", "@"))


def _kinds_in(kind: Any) -> set[Any]:
    inner: set[Any] = set()
    for each in get_args(kind):
        inner |= _kinds_in(each)
    return inner or ({kind} if isinstance(kind, type) else set())


def known(place: Place, model: type[BaseModel]) -> list[str]:
    """The settings that there are where an unknown one stands."""
    table = next(filter(_is_model, alternatives(kind_at(place[:-1], model))), None)
    return list(table.model_fields) if table is not None else []


def kind_at(place: Place, model: type[BaseModel]) -> Any:
    """What a setting is declared as; None where there is none."""
    kind: Any = model
    for part in place:
        kind = next((found for each in alternatives(kind) if (found := _below(each, part)) is not None), None)
    return kind


def _below(kind: Any, part: str | int) -> Any:
    if _is_model(kind):
        return kind.model_fields[part].annotation if part in kind.model_fields else None
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    return get_args(kind)[0] if get_origin(kind) in (tuple, list) else None


def alternatives(kind: Any) -> list[Any]:
    """A union's, a choice's, or itself."""
    if kind is None or _is_model(kind) or get_origin(kind) in (None, dict, tuple, list):
        return [kind]
    return [one for each in get_args(kind) for one in alternatives(each)]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def key_of(place: Place) -> str:
    """A place in TOML's own spelling, such as `paths."/hold".handler`."""
    key = ""
    for before, part in zip(("", *place), place, strict=False):
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += f".{part}" if _BARE.fullmatch(part) and before != "paths" else f'."{part}"'
    return key.removeprefix(".")
