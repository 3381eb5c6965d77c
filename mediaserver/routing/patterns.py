"""Patterns of paths, in aiohttp's syntax: what is wrong with one, which are slow, and what is matched at all.

A path is matched before it is known who asks. The regular expressions of variables go back and try again, and each
more that may match the same characters multiplies the time that takes.
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
MAX_PATH, MAX_SEGMENTS = 2048, 64  # of a path that is looked up
MAX_SLOW_PATH = 256  # characters, where a pattern is slow to match
MAX_QUERY_KEYS = 100
_SLOW = 3  # repetitions in a row that may match the same characters: time grows with the cube of a path's length
_ALL = frozenset(map(chr, range(128)))  # one character of each kind is enough to tell that two sets meet
_CATEGORIES = {
    "digit": r"\d",
    "space": r"\s",
    "word": r"\w",
    "not_digit": r"\D",
    "not_space": r"\S",
    "not_word": r"\W",
}


def problems(pattern: str, place: str) -> list[str]:
    """What is wrong with a pattern, by the place where it stands."""
    if not pattern.startswith("/"):
        return [f'{place}: a path begins with /, as in [paths."/{pattern}"]']
    if "#" in pattern or "?" in PATTERN_VARIABLE.sub("", pattern):
        return [f"{place}: a path has no query and no fragment"]
    try:
        UrlDispatcher().add_resource(pattern)
    except (ValueError, OverflowError, RecursionError):
        return [f"{place}: is not a path pattern such as /play/{{name}}"]
    if is_endless(pattern):
        return [
            f"{place}: a path could take for ever to be held against it, as a part that is repeated has parts of"
            " many lengths: write one set, such as {name:[a-z0-9-]+}, or put between them what none of them has"
        ]
    return []


def check_bounds(url: URL, *, slow: bool) -> None:
    """Turn down what is too long to be looked up; RefusedError 414 or 400. `slow`: a pattern is."""
    path, most = url.path, MAX_SLOW_PATH if slow else MAX_PATH
    if len(path) > most:
        raise RefusedError(RefusalReason.LONG_PATH, f"the path is longer than {most} characters")
    if path.count("/") > MAX_SEGMENTS:
        raise RefusedError(RefusalReason.LONG_PATH, f"the path has more than {MAX_SEGMENTS} segments")
    if url.raw_query_string.count("&") >= MAX_QUERY_KEYS:
        raise RefusedError(RefusalReason.BAD_QUERY, f"the query has more than {MAX_QUERY_KEYS} keys")


def is_endless(pattern: str) -> bool:
    """Whether the time that a pattern takes may double with each character of a path that a stranger makes up."""
    try:
        return _is_endless(_parts(pattern))
    except RecursionError:
        return True


def is_slow(pattern: str) -> bool:
    """Whether a path that a stranger makes up may take long to be held against a pattern."""
    try:
        return _is_slow(_parts(pattern))
    except RecursionError:
        return True


def _parts(pattern: str) -> list[tuple[Any, Any]]:
    expression = UrlDispatcher().add_resource(pattern).get_info().get("pattern")
    return [] if expression is None else list(_flat(parser.parse(expression.pattern)))


def _is_endless(items: Iterable[tuple[Any, Any]]) -> bool:
    """Whether a repetition has parts of its own that can be told from each other in many ways."""
    for kind, value in items:
        if kind is ops.BRANCH and any(_is_endless(_flat(branch)) for branch in value[1]):
            return True
        if kind in (ops.ASSERT, ops.ASSERT_NOT) and _is_endless(_flat(value[1])):
            return True
        if _is_repeat(kind):
            inner = list(_flat(value[2]))
            if _is_endless(inner) or (value[1] > 1 and _is_ambiguous(inner)):
                return True
    return False


def _is_ambiguous(inner: list[tuple[Any, Any]]) -> bool:
    """Whether it cannot be told where one turn of a repetition ends and the next begins."""
    if any(kind is ops.BRANCH and _meet(value[1]) for kind, value in inner):
        return True
    elastic = [each for each in inner if _is_elastic(*each)]
    if not elastic:
        return False
    characters = frozenset().union(*(_characters(*each) for each in elastic))
    apart = (each for each in inner if each not in elastic and not _may_be_empty(*each))
    return not any(_characters(*each).isdisjoint(characters) for each in apart)


def _is_elastic(kind: Any, value: Any) -> bool:
    """Whether a part may have several lengths."""
    if kind is ops.BRANCH:  # `a|aa` is parsed as an `a` that nothing or an `a` follows
        return any(branch.getwidth()[0] == 0 for branch in value[1])
    return _is_repeat(kind) and bool(value[0] != value[1])


def _is_slow(items: list[tuple[Any, Any]]) -> bool:
    """Whether repetitions in a row, with nothing between them that sets them apart, are too many."""
    run, over = 0, _ALL
    for kind, value in items:
        characters = _characters(kind, value)
        if _is_unbounded(kind, value):
            run, over = (run + 1 if run and characters & over else 1), characters
            if run >= _SLOW:
                return True
        elif not _may_be_empty(kind, value) and not characters & over:
            run = 0
    return False


def _meet(branches: Iterable[Iterable[tuple[Any, Any]]]) -> bool:
    """Whether a character is in more than one of several alternatives."""
    sets = [frozenset().union(*(_characters(*each) for each in _flat(branch))) for branch in branches]
    return sum(map(len, sets)) > len(frozenset().union(*sets))


def _flat(items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The parts of an expression, those of its groups in their place."""
    for kind, value in items:
        if kind is ops.SUBPATTERN:
            yield from _flat(value[3])
        else:
            yield kind, value


def _is_repeat(kind: Any) -> bool:
    return kind in (ops.MAX_REPEAT, ops.MIN_REPEAT)


def _is_unbounded(kind: Any, value: Any) -> bool:
    return _is_repeat(kind) and value[1] >= MAX_SLOW_PATH


def _may_be_empty(kind: Any, value: Any) -> bool:
    return (_is_repeat(kind) and value[0] == 0) or kind not in (ops.LITERAL, ops.NOT_LITERAL, ops.IN, ops.ANY)


def _characters(kind: Any, value: Any) -> frozenset[str]:
    """The ASCII characters that a part matches; all, where that is not told by its kind."""
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
        return frozenset().union(*(_characters(*each) for each in _flat(value[2])))
    return _ALL
