"""As much of PromQL as it takes to see which metrics and labels an expression goes by."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*")
      | (?P<number>\d+(?:\.\d+)?(?:e\d+)?(?:ms|[smhdwy])?)
      | (?P<name>[A-Za-z_$][\w:]*)
      | (?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],])
      | (?P<space>\s+)""",
    re.VERBOSE,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "bool", "offset"}
_MATCHES = {"=", "!=", "=~", "!~"}


@dataclass(frozen=True)
class Selector:
    """A metric, and what is asked of its labels: (label, sign, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Expression:
    """What an expression selects, and the labels it groups by."""

    selectors: tuple[Selector, ...]
    groups: frozenset[str]


def parse(text: str) -> Expression:
    """ValueError for what is not of this language, or not of the part of it that is known here."""
    tokens = list(_tokens(text))
    selectors: list[Selector] = []
    groups: set[str] = set()
    at = 0
    while at < len(tokens):
        kind, word = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind != "name" or word.startswith("$") or word in _WORDS:
            continue
        if word in _GROUPING:
            end = tokens.index(("sign", ")"), at)
            groups.update(name for kind, name in tokens[at:end] if kind == "name")
            at = end + 1
        elif following == "{":
            end = tokens.index(("sign", "}"), at)
            selectors.append(Selector(word, tuple(_matchers(tokens[at + 1 : end]))))
            at = end + 1
        elif following not in ("(", "by", "without"):  # else a function or an aggregation
            selectors.append(Selector(word))
    return Expression(tuple(selectors), frozenset(groups))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"not PromQL: {text[at:]!r}")
        if match.lastgroup != "space":
            yield match.lastgroup, match[0]
        at = match.end()


def _matchers(tokens: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    for at in range(0, len(tokens), 4):
        (_, label), (_, sign), (kind, value), *comma = tokens[at : at + 4]
        if sign not in _MATCHES or kind != "string" or comma not in ([], [("sign", ",")]):
            raise ValueError(f"not a matcher: {label} {sign} {value}")
        yield label, sign, value[1:-1]
