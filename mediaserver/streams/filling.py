"""Settings with `{variables}` in them: which there are, and what they become."""

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from mediaserver.settings.strictness import Text

VARIABLE = re.compile(r"\{(\w+)\}")


def texts(value: Any) -> Iterable[str]:
    """All texts in a setting, its lists and tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def without(value: Any, keys: frozenset[str]) -> Any:
    """A setting without these keys of its tables."""
    if isinstance(value, dict):
        return {key: without(each, keys) for key, each in value.items() if key not in keys}
    return [without(each, keys) for each in value] if isinstance(value, list) else value


def fill(value: Any, variables: Mapping[str, str], but: frozenset[str]) -> Any:
    """A setting with its `{name}`s replaced by the path's variables, but in these keys of its tables."""
    if isinstance(value, str):
        url = "://" in value  # there a variable is a part of a path or query, and leads nowhere else
        escape = partial(quote, safe="") if url else str
        filled = VARIABLE.sub(
            lambda match: escape(variables[match[1]]) if match[1] in variables else match[0], value
        )
        return value if filled == value else Text(filled)
    if isinstance(value, dict):
        return {key: each if key in but else fill(each, variables, but) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, variables, but) for each in value]
    return value
