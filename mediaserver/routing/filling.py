"""Settings with `{variables}` in them: which there are, and what they become.

A setting with `://` in it is a URL. What fills it stays in its place there: the URL keeps its scheme, host, port
and number of segments. Strangers write the values, and a token or a signature may go with the request.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mediaserver.config.fields import OpenHostError, names_its_server
from mediaserver.config.mistakes import Place
from mediaserver.config.strictness import Text
from mediaserver.support.urls import leads_elsewhere, origin

VARIABLE = re.compile(r"\{(\w+)\}")
_SHOWN = 50  # characters of a value that are told


class MisplacedError(ValueError):
    """A value of a variable would not stay in its place in a URL."""

    def __init__(self, names: Iterable[str], variables: Mapping[str, str], why: str) -> None:
        told = ", ".join(f'"{variables[name][:_SHOWN]}" in place of {{{name}}}' for name in dict.fromkeys(names))
        super().__init__(f"the URL has {told}: {why}")


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


def open_urls(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """The URLs in a setting whose scheme, user, host or port a variable fills: where, and what is wrong."""
    if isinstance(value, str) and "://" in value:
        try:
            names_its_server(value)
        except OpenHostError as error:
            yield place, str(error)
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from open_urls(each, (*place, key))


def fill(value: Any, variables: Mapping[str, str], but: frozenset[str]) -> Any:
    """A setting with its `{name}`s replaced by the path's variables, but in these keys of its tables.

    MisplacedError where a value would not stay in its place in a URL, or makes a URL of what is none.
    """
    if isinstance(value, str):
        filled = _filled_url(value, variables) if "://" in value else _filled(value, variables)
        if "://" in filled and "://" not in value:
            raise MisplacedError(_names_in(value, variables), variables, "no URL may stand there")
        return value if filled == value else Text(filled)
    if isinstance(value, dict):
        return {key: each if key in but else fill(each, variables, but) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, variables, but) for each in value]
    return value


def _names_in(text: str, variables: Mapping[str, str]) -> list[str]:
    return [name for name in VARIABLE.findall(text) if name in variables]


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: variables.get(match[1], match[0]), text)


def _filled_url(url: str, variables: Mapping[str, str]) -> str:
    """A URL with the variables of its path and query filled in; each is percent-encoded, down to its slashes."""
    begin = origin(url)
    path, mark, rest = re.split("([?#]|$)", url[len(begin) :], maxsplit=1)
    encoded = {
        name: quote(variables[name], safe="", errors="backslashreplace") for name in _names_in(url, variables)
    }
    segments = []
    for segment in path.split("/"):
        filled = _filled(segment, encoded)
        if filled != segment and leads_elsewhere(filled):
            why = 'no segment of a path may be empty there, "." or "..", encoded or not'
            raise MisplacedError(_names_in(segment, variables), variables, why)
        segments.append(filled)
    return begin + "/".join(segments) + mark + _filled(rest, encoded)
