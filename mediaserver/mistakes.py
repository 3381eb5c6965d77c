"""What is wrong with settings, told to people: a line for each mistake, with the key or variable to mend.

Secrets are never shown.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings

from mediaserver.errors import did_you_mean, one_line

ENV_PREFIX, ENV_DELIMITER = "MEDIASERVER_", "__"
_TAGS = ("a prompt", "what is said")  # of unions: pydantic's places have them, files do not
# Keys of settings whose values are never shown.
_SECRETS = {"token", "tokens", "access_key", "secret", "url", "api", "webhook"}


def problems(where: str, error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A validation error as one line per mistake: where it stands, what is wrong, what may have been meant."""
    return [line for _, lines in problems_by_error(where, error, model) for line in lines]


def problems_by_error(
    where: str, error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[Any, list[str]]]:
    """Each of pydantic's errors with its lines; an error of a whole table may have several."""
    for details in error.errors():
        yield details, _problem(where, details, model)


def _problem(where: str, details: Any, model: type[BaseModel]) -> list[str]:
    place: tuple[str | int, ...] = tuple(part for part in details["loc"] if part not in ("[key]", *_TAGS))
    by = variable_of(place) if issubclass(model, BaseSettings) else None  # a handler's come from its path
    key = _key(place)
    if details["type"] == "extra_forbidden":
        hint = did_you_mean(str(place[-1]), _known(place, model))
        return [one_line(f"{by or where}: {key}: unknown setting{hint}")]
    message, value = details["msg"].removeprefix("Value error, "), details["input"]
    match details["type"]:
        case "tuple_type":
            message = 'should be a list, such as ["a", "b"]'
        case "dict_type":
            message = 'should be a table, such as { 9000 = "/audio-stream" }'
        case "literal_error":
            message += did_you_mean(str(value), re.findall("'([^']*)'", details["ctx"]["expected"]))
    plain = isinstance(value, str | int | float) and details["type"] != "missing" and not _is_private(place, value)
    shown = f" (it is {value!r})" if plain else ""
    place_of = one_line(f"{by or where}: {f'{key}: ' if key else ''}")
    return [f"{place_of}{line}{shown}" for line in message.splitlines()]


def _is_private(place: tuple[str | int, ...], value: object) -> bool:
    """Whether a value may hold a secret: it is never shown."""
    return not _SECRETS.isdisjoint(place) or any(sign in str(value) for sign in ("//", "?", "@"))


def _known(place: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    """The settings that there are where an unknown one stands."""
    kind: Any = model
    for part in place[:-1]:
        if get_origin(kind) is dict:  # a table of models by name
            kind = get_args(kind)[1]
        elif _is_model(kind) and str(part) in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
        else:
            return []
        kind = next(filter(_is_model, get_args(kind)), kind) if get_origin(kind) is not dict else kind
    return list(kind.model_fields) if _is_model(kind) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _key(place: tuple[str | int, ...]) -> str:
    """A place in TOML's own spelling, such as `paths."/hold".handler`."""
    parts = [
        f"[{part}]" if isinstance(part, int) else f'."{part}"' if "/" in part else f".{part}" for part in place
    ]
    return "".join(parts).removeprefix(".")


def variable_of(place: tuple[str | int, ...]) -> str | None:
    """The environment variable that sets this place, where one does: by itself, or in a whole table as JSON."""
    variables = {variable.upper(): variable for variable in os.environ}
    for depth in range(len(place), 0, -1):
        variable = variables.get((ENV_PREFIX + ENV_DELIMITER.join(map(str, place[:depth]))).upper())
        if variable is not None and _holds(os.environ[variable], place[depth:]):
            return variable
    return None


def _holds(text: str, keys: tuple[str | int, ...]) -> bool:
    """Whether a variable's text has a value under these keys."""
    if not keys:
        return True
    try:
        value: Any = json.loads(text)
        for key in keys:
            value = value[key]
    except (ValueError, LookupError, TypeError):
        return False
    return True
