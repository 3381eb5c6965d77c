"""Turns pydantic's validation errors into messages for operators: one line per error, with the key to correct.

`MESSAGES` has plain texts for pydantic's types of errors. Messages never contain secrets.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from mediaserver.errors import did_you_mean, single_line

KeyPath = tuple[str | int, ...]  # the place of a value: keys of tables and indices of lists, outermost first
# The parts that pydantic adds to an error's location, for keys and for members of unions. No configuration file
# has such parts.
_TAGS = ("[key]", "a prompt", "what is said", "a URL")
# The keys of settings whose values no message shows, because the values may contain secrets.
_SECRETS = {"token", "tokens", "access_key", "secret", "url", "api", "webhook", "transfer"}
_BRIEF = 5  # the maximum number of errors that a summary lists
_SCALAR = str | int | float

# The messages for pydantic's errors, by type of error. A {name} is filled in from the error's context.
MESSAGES: dict[str, str] = {
    "assertion_error": "{error}",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "dict_type": "should be a table, such as {{ key = value }}",
    "enum": "should be {expected}",
    "finite_number": "should be a finite number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "frozen_instance": "the class sets an attribute of self, which cannot be changed: declare settings as fields"
    " of the class, and keep what changes in variables of run",
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
    "recursion_loop": "contains itself",
    "string_pattern_mismatch": "should match the pattern {pattern}",
    "string_too_long": "should be of at most {max_length} characters",
    "string_too_short": "should be of at least {min_length} characters",
    "string_type": "should be text, in quotes",
    "string_unicode": "should be text in UTF-8",
    "too_long": "should have at most {max_length} entries, not {actual_length}",
    "too_short": "should have at least {min_length} entries, not {actual_length}",
    "tuple_type": 'should be a list, such as ["a", "b"]',
    "union_tag_invalid": "should be {expected_tags}",
    "union_tag_not_found": "should have the key {discriminator}",
    "value_error": "{error}",
}
MISSING, UNKNOWN = (
    "missing",
    "extra_forbidden",
)  # the types of errors whose messages name the key: "handler is missing", "tokns: unknown setting"
_PATTERNS = {
    "^[0-9A-D*#]*$": "should be keys, of 0-9 A-D * #",
    "^[A-Za-z0-9_-]{1,40}$": "should be a name of letters, digits, - and _, 40 at most",
}
_BARE = re.compile(r"[\w*#-]+")  # the keys that messages show without quotes; * and # are DTMF keys in menus
_UNQUOTED = re.compile(r"[+-]?\d[\d_]*(\.\d+)?|true|false")


class Problem(NamedTuple):
    """A mistake in settings: the key path of a value, and what is wrong with the value."""

    key: KeyPath
    text: str

    def line(self, where: str) -> str:
        """The message: `where`, which names the file or variable, then the key, then what is wrong."""
        key = format_key(self.key)
        return single_line(f"{where}: {key}: {self.text}" if key else f"{where}: {self.text}")


def error_lines(where: str, error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each mistake in a validation error: the key, what is wrong, and perhaps a similar name."""
    return [
        problem.line(where)
        for details in error.errors()
        for problem in explain_error(details, error_key(details), model)
    ]


def summarize_error(error: ValidationError) -> str:
    """The first mistakes in another system's answer, in one line. Values are left out, as they may be private."""
    return "; ".join(dict.fromkeys(map(_summary, islice(error.errors(include_url=False), _BRIEF))))


def _summary(details: Any) -> str:
    key = error_key(details)
    if details["type"] == MISSING:
        return f"{format_key(key)} is missing"
    words = "unknown key" if details["type"] == UNKNOWN else _words(details)
    return f"{format_key(key)}: {words}" if key else words


def explain_error(details: Any, key: KeyPath, model: type[BaseModel], hint: str = "") -> list[Problem]:
    """The problems that one of pydantic's errors reports. `hint` ends the message about an unknown setting."""
    if details["type"] == MISSING:
        return [Problem(key[:-1], f"{key[-1]} is missing")]
    if details["type"] == UNKNOWN:
        return [Problem(key, f"unknown setting{hint or did_you_mean(str(key[-1]), known_settings(key, model))}")]
    value = details["input"]
    shown = (
        isinstance(value, _SCALAR) and not _is_private(key, value, model) and details["type"] != "frozen_instance"
    )
    suffix = f" (it is {_as_written(value)})" if shown else ""
    return [Problem(key, f"{line}{suffix}") for line in (_words(details) or "is wrong").splitlines()]


def error_key(details: Any) -> KeyPath:
    """The key path of one of pydantic's errors, without the parts that pydantic adds for keys and unions."""
    return tuple(part for part in details["loc"] if part not in _TAGS)


def _words(details: Any) -> str:
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind not in MESSAGES:  # only users' own handlers have errors of other types
        return re.sub(r"^(Input|Value|String|Data) should (be )?(a valid )?", "should be ", details["msg"])
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "should not be empty"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    if kind == "string_type" and isinstance(value, list):
        return "should be one text, in quotes, and no list"
    text = MESSAGES[kind].format_map(_Readable(context))
    if kind in ("literal_error", "enum"):
        text += did_you_mean(str(value), re.findall('"([^"]*)"', text))
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str) and _UNQUOTED.fullmatch(value):
        text += ", without quotes"
    return text


class _Readable(dict[str, Any]):
    """The context of one of pydantic's errors, to be formatted into a message."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        super().__init__(
            (key, value.replace("'", '"') if key.startswith("expected") else value)
            for key, value in context.items()
        )

    def __missing__(self, key: str) -> str:
        return "something else"


def _as_written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _is_private(key: KeyPath, value: object, model: type[BaseModel]) -> bool:
    """Whether a setting's value may hold a secret, so that no message may show it."""
    is_secret = SecretStr in _types_in(type_at(key, model))
    return is_secret or not _SECRETS.isdisjoint(key) or any(sign in str(value) for sign in ("//", "?", "@"))


def _types_in(kind: Any) -> set[Any]:
    inner: set[Any] = set()
    for each in get_args(kind):
        inner |= _types_in(each)
    return inner or ({kind} if isinstance(kind, type) else set())


def known_settings(key: KeyPath, model: type[BaseModel]) -> list[str]:
    """The names of all settings that the table of an unknown setting may have.

    Where there are several kinds of tables, this is the first kind that lacks the setting.
    """
    tables = [table for table in union_members(type_at(key[:-1], model)) if _is_model(table)]
    return next((list(table.model_fields) for table in tables if key[-1] not in table.model_fields), [])


def type_at(key: KeyPath, model: type[BaseModel]) -> Any:
    """The declared type of a setting; None if there is no such setting."""
    kind: Any = model
    for part in key:
        kind = next(
            (found for each in union_members(kind) if (found := _type_below(each, part)) is not None), None
        )
    return kind


def _type_below(kind: Any, part: str | int) -> Any:
    if _is_model(kind):
        return kind.model_fields[part].annotation if part in kind.model_fields else None
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    return get_args(kind)[0] if get_origin(kind) in (tuple, list) else None


def union_members(kind: Any) -> list[Any]:
    """The members of a union type, and of unions in it; for any other type, that type alone."""
    if kind is None or _is_model(kind) or get_origin(kind) in (None, dict, tuple, list):
        return [kind]
    return [one for each in get_args(kind) for one in union_members(each)]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def format_key(path: KeyPath) -> str:
    """A key path in TOML's notation, such as `paths."/hold".handler`."""
    key = ""
    for before, part in zip(("", *path), path, strict=False):
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += f".{part}" if _BARE.fullmatch(part) and before != "paths" else f'."{part}"'
    return key.removeprefix(".")
