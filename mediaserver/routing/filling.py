"""Fills the values of a path's `{variables}` into a handler's settings, such as `prompt = "{prompt}"`.

A stranger may choose the values, and the server's own request to a URL with such values may carry a token or a
signature. A setting with `://` in it is therefore treated as a URL: values cannot change its scheme, host, port
and number of path segments.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mediaserver.config.error_messages import KeyPath
from mediaserver.config.fields import VariableHostError, check_fixed_host
from mediaserver.config.strict_types import RawText
from mediaserver.support.urls import is_unsafe_segment, origin

VARIABLE = re.compile(r"\{(\w+)\}")
_SHOWN = 50  # the maximum number of characters of a variable's value that a message shows


class UnsafeVariableError(ValueError):
    """A variable's value would lead a configured URL to another server or path."""

    def __init__(self, names: Iterable[str], variables: Mapping[str, str], why: str) -> None:
        shown = ", ".join(f'"{variables[name][:_SHOWN]}" in place of {{{name}}}' for name in dict.fromkeys(names))
        super().__init__(f"the URL has {shown}: {why}")


def texts_in(value: Any) -> Iterable[str]:
    """Yield all texts in a setting's value, including those in its lists and tables at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)


def without_keys(value: Any, keys: frozenset[str]) -> Any:
    """Return a setting's value without the entries of these keys in its tables, at any depth."""
    if isinstance(value, dict):
        return {key: without_keys(each, keys) for key, each in value.items() if key not in keys}
    return [without_keys(each, keys) for each in value] if isinstance(value, list) else value


def urls_with_variable_host(value: Any, place: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """For each URL that has a variable before its path, yield the keys that lead to the setting, and a message."""
    if isinstance(value, str) and "://" in value:
        try:
            check_fixed_host(value)
        except VariableHostError as error:
            yield place, str(error)
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from urls_with_variable_host(each, (*place, key))


def fill_variables(value: Any, variables: Mapping[str, str], except_keys: frozenset[str]) -> Any:
    """Return a setting with each `{name}` replaced by the variable's value, except in the values of `except_keys`.

    UnsafeVariableError if a value would lead a URL to another server or path, or would turn a text into a URL.
    """
    if isinstance(value, str):
        filled = _filled_url(value, variables) if "://" in value else _filled(value, variables)
        if "://" in filled and "://" not in value:
            raise UnsafeVariableError(_names_in(value, variables), variables, "a value may not be a URL there")
        return value if filled == value else RawText(filled)
    if isinstance(value, dict):
        return {
            key: each if key in except_keys else fill_variables(each, variables, except_keys)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [fill_variables(each, variables, except_keys) for each in value]
    return value


def _names_in(text: str, variables: Mapping[str, str]) -> list[str]:
    return [name for name in VARIABLE.findall(text) if name in variables]


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: variables.get(match[1], match[0]), text)


def _filled_url(url: str, variables: Mapping[str, str]) -> str:
    """Fill variables into a URL's path and query. All values are percent-encoded, including their slashes."""
    begin = origin(url)
    path, mark, rest = re.split("([?#]|$)", url[len(begin) :], maxsplit=1)
    encoded = {
        name: quote(variables[name], safe="", errors="backslashreplace") for name in _names_in(url, variables)
    }
    segments = []
    for segment in path.split("/"):
        filled = _filled(segment, encoded)
        if filled != segment and is_unsafe_segment(filled):
            why = 'no segment of a path may be empty there, "." or "..", encoded or not'
            raise UnsafeVariableError(_names_in(segment, variables), variables, why)
        segments.append(filled)
    return begin + "/".join(segments) + mark + _filled(rest, encoded)
