"""Checks patterns of paths, in aiohttp's syntax, for mistakes and for catastrophic backtracking.

A path is matched before the peer is authorized, so any stranger may choose the path. Python's regular expressions
backtrack: each further repetition in a pattern that may match the same characters multiplies the time that a
failed match takes.
"""

import re
from collections.abc import Iterable, Iterator
from re import _constants as ops  # type: ignore[attr-defined]  # no public interface has an expression's parts
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from aiohttp.web import UrlDispatcher
from yarl import URL

from mediaserver.errors import RefusalReason, RefusedError

PATTERN_VARIABLE = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
_FOREIGN_VARIABLE = re.compile(r"(?<=/)(?::\w+|<[^/]+>|\*+)(?=/|$)")
_URL_BEFORE_PATH = re.compile(r"\w+://[^/]*")  # the scheme and host of a URL
MAX_PATH, MAX_SEGMENTS = 2048, 64  # the maximum numbers of characters and segments of a path, else it is refused
MAX_SLOW_PATH = 256  # the maximum number of characters of a path if a pattern of the table is slow to match
MAX_QUERY_KEYS = 100  # the maximum number of keys in a URL's query
# If a pattern has so many repetitions of the same characters, one after another, the time of a match grows with
# the cube of a path's length.
_SLOW = 3
_ALL = frozenset(map(chr, range(128)))  # all ASCII characters, which suffice to see if sets of characters overlap
_CATEGORIES = {
    "digit": r"\d",
    "space": r"\s",
    "word": r"\w",
    "not_digit": r"\D",
    "not_space": r"\S",
    "not_word": r"\W",
}


def foreign_variables(pattern: str) -> list[str]:
    """The segments of a pattern that are variables or wildcards elsewhere: `:name`, `<name>`, `*`."""
    return _FOREIGN_VARIABLE.findall(pattern)


def pattern_problems(pattern: str, place: str) -> list[str]:
    """One line for each mistake in a pattern. Each line begins with `place`."""
    if not pattern.startswith("/"):
        meant = _URL_BEFORE_PATH.sub("", pattern).lstrip("/")
        return [f'{place}: a path begins with /, as in [paths."/{meant}"]']
    if "#" in pattern or "?" in PATTERN_VARIABLE.sub("", pattern):
        return [f"{place}: a path has no query and no fragment"]
    try:
        UrlDispatcher().add_resource(pattern)
    except (ValueError, OverflowError, RecursionError):
        return [f"{place}: is not a path pattern such as /play/{{name}}"]
    if backtracks_exponentially(pattern):
        return [
            f"{place}: matching could take very long, as a repeated group holds parts of variable length: use one"
            " set, such as {name:[a-z0-9-]+}, or separate the parts by a character that none of them matches"
        ]
    return []


def check_url_limits(url: URL, *, slow: bool) -> None:
    """Raise RefusedError 414 or 400 if a URL is too long to be matched. `slow`: a pattern is slow to match."""
    path, most = url.path, MAX_SLOW_PATH if slow else MAX_PATH
    if len(path) > most:
        raise RefusedError(RefusalReason.LONG_PATH, f"the path is longer than {most} characters")
    if path.count("/") > MAX_SEGMENTS:
        raise RefusedError(RefusalReason.LONG_PATH, f"the path has more than {MAX_SEGMENTS} segments")
    if url.raw_query_string.count("&") >= MAX_QUERY_KEYS:
        raise RefusedError(RefusalReason.BAD_QUERY, f"the query has more than {MAX_QUERY_KEYS} keys")


def backtracks_exponentially(pattern: str) -> bool:
    """Whether the time to match a pattern may double with each character of a path (catastrophic backtracking)."""
    try:
        return _is_exponential(_regex_parts(pattern))
    except RecursionError:
        return True


def is_slow_to_match(pattern: str) -> bool:
    """Whether the time to match a pattern may grow with the cube of a path's length, or faster."""
    try:
        return _is_slow(_regex_parts(pattern))
    except RecursionError:
        return True


def _regex_parts(pattern: str) -> list[tuple[Any, Any]]:
    expression = UrlDispatcher().add_resource(pattern).get_info().get("pattern")
    return [] if expression is None else list(_flatten(parser.parse(expression.pattern)))


def _is_exponential(items: Iterable[tuple[Any, Any]]) -> bool:
    """Whether a part of an expression repeats another part that can match one text in several ways."""
    for kind, value in items:
        if kind is ops.BRANCH and any(_is_exponential(_flatten(branch)) for branch in value[1]):
            return True
        if kind in (ops.ASSERT, ops.ASSERT_NOT) and _is_exponential(_flatten(value[1])):
            return True
        if _is_repeat(kind):
            inner = list(_flatten(value[2]))
            if _is_exponential(inner) or (value[1] > 1 and _is_ambiguous(inner)):
                return True
    return False


def _is_ambiguous(inner: list[tuple[Any, Any]]) -> bool:
    """Whether a repetition of the `inner` parts can match one text in several ways, with different splits."""
    if any(kind is ops.BRANCH and _overlap(value[1]) for kind, value in inner):
        return True
    varying = [each for each in inner if _varies_in_length(*each)]
    if not varying:
        return False
    characters = frozenset().union(*(_characters(*each) for each in varying))
    apart = (each for each in inner if each not in varying and not _may_be_empty(*each))
    return not any(_characters(*each).isdisjoint(characters) for each in apart)


def _varies_in_length(kind: Any, value: Any) -> bool:
    """Whether a part of an expression may match texts of several lengths."""
    if kind is ops.BRANCH:  # Python's parser turns `a|aa` into `a`, followed by the branch "nothing or `a`"
        return any(branch.getwidth()[0] == 0 for branch in value[1])
    return _is_repeat(kind) and bool(value[0] != value[1])


def _is_slow(items: list[tuple[Any, Any]]) -> bool:
    """Whether `_SLOW` repetitions of the same characters follow one another without another character between."""
    run, common = 0, _ALL
    for kind, value in items:
        characters = _characters(kind, value)
        if _is_unbounded(kind, value):
            run, common = (run + 1 if run and characters & common else 1), characters
            if run >= _SLOW:
                return True
        elif not _may_be_empty(kind, value) and not characters & common:
            run = 0
    return False


def _overlap(branches: Iterable[Iterable[tuple[Any, Any]]]) -> bool:
    """Whether more than one of the branches of an expression may match the same character."""
    sets = [frozenset().union(*(_characters(*each) for each in _flatten(branch))) for branch in branches]
    return sum(map(len, sets)) > len(frozenset().union(*sets))


def _flatten(items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield the parts of a regular expression, with each group replaced by the parts inside it."""
    for kind, value in items:
        if kind is ops.SUBPATTERN:
            yield from _flatten(value[3])
        else:
            yield kind, value


def _is_repeat(kind: Any) -> bool:
    return kind in (ops.MAX_REPEAT, ops.MIN_REPEAT)


def _is_unbounded(kind: Any, value: Any) -> bool:
    return _is_repeat(kind) and value[1] >= MAX_SLOW_PATH


def _may_be_empty(kind: Any, value: Any) -> bool:
    return (_is_repeat(kind) and value[0] == 0) or kind not in (ops.LITERAL, ops.NOT_LITERAL, ops.IN, ops.ANY)


def _characters(kind: Any, value: Any) -> frozenset[str]:
    """The ASCII characters that a part of an expression may match.

    All ASCII characters are returned for a kind of part that is not analysed.
    """
    if kind is ops.LITERAL:
        return frozenset((chr(value),))
    if kind is ops.NOT_LITERAL:
        return _ALL - {chr(value)}
    if kind is ops.RANGE:
        return frozenset(map(chr, range(value[0], min(value[1], 127) + 1)))
    if kind is ops.CATEGORY:
        word = _CATEGORIES[str(value).lower().removeprefix("category_")]
        return frozenset(each for each in _ALL if re.match(word, each))
    if kind is ops.IN:
        negated = value[0][0] is ops.NEGATE
        found = frozenset().union(*(_characters(*each) for each in value[negated:]))
        return _ALL - found if negated else found
    if _is_repeat(kind):
        return frozenset().union(*(_characters(*each) for each in _flatten(value[2])))
    return _ALL
