"""Patterns of paths: which are slow, and how long a path may be that is held against them."""

import pytest
from yarl import URL

from mediaserver.errors import RefusedError
from mediaserver.handlers.noise import Silence
from mediaserver.routing import patterns
from mediaserver.routing.route import Route
from mediaserver.routing.table import RouteTable
from mediaserver.wire.encapsulation import WireSettings

SLOW = "/a/{x:.+}/b/{y:.+}/c/{z:.+}"


@pytest.mark.parametrize(
    "pattern",
    [
        *(SLOW, "/{a}-{b}-{c}", "/{a:[a-z]*[a-m]*[b-z]*}", r"/{a:\w+}x{b:\D*}x{c:[^/]+}"),
    ],
)
def test_a_pattern_that_backtracks_in_three_repetitions_is_slow(pattern: str) -> None:
    assert patterns.is_slow_to_match(pattern)
    assert not patterns.pattern_problems(pattern, "here")


@pytest.mark.parametrize(
    "expression",
    [
        *("(a+)+", r"(\w+\s?)*", "(x+x+)+y", "(?:ab|b|a)*c", r"(?:\d{1,3}-?)+", "(?:[a-z0-9]+-?)+"),
        *(r"(?:\w\w?)+z", "(?:a|aa)+", "(?:a{1,2}){1,40}z", "(a*)*", "x(?=(a?)+b)a+", "(?:b|(?:a?)+c)"),
    ],
)
def test_a_pattern_that_backtracks_exponentially_is_a_mistake(expression: str) -> None:
    assert patterns.pattern_problems(f"/{{a:{expression}}}", "here") == [
        "here: matching could take very long, as a repeated group holds parts of variable length: use one set,"
        " such as {name:[a-z0-9-]+}, or separate the parts by a character that none of them matches"
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        *("/a", "/play/{prompt:.+}", "/a/{x:.+}/b/{y:.+}", "/{a}/{b}/{c}/{d}", "/{a}-{b}", "/{a:(?:b|c)+}"),
        *(
            r"/{d:\d+-\d+-\d+}",
            "/{a:(?:[a-z]+/)*[a-z]+}",
            "/{u:[0-9a-f]{8}-[0-9a-f]{4}}",
            "/{a:a{1,9}}b{b:a{1,9}}",
            "/{a:[a-z]+(?:-[a-z0-9]+)*}",
            r"/{a:(?:\d\d)+}",
        ),
    ],
)
def test_other_patterns_are_neither_slow_nor_mistakes(pattern: str) -> None:
    assert not patterns.is_slow_to_match(pattern)
    assert not patterns.pattern_problems(pattern, "here")


def refused(url: str, *paths: str) -> tuple[int, str, str] | None:
    table = RouteTable(Route(path, Silence, {}, WireSettings()) for path in paths)
    try:
        table.match_route_now(URL(url, encoded=True))
    except RefusedError as error:
        return error.status, error.reason, str(error)
    return None


ANY = "/{x:.+}"


@pytest.mark.parametrize(
    ("url", "paths", "told"),
    [
        ("/" + "x" * 2047, (ANY,), None),
        ("/" + "x" * 2048, (ANY,), (414, "long-path", "the path is longer than 2048 characters")),
        ("/" + "%C3%A9" * 2047, (ANY,), None),
        ("/x" * 64, (ANY,), None),
        ("/x" * 65, (ANY,), (414, "long-path", "the path has more than 64 segments")),
        ("/x" + "%2F" * 64, (ANY,), (414, "long-path", "the path has more than 64 segments")),
        ("/" + "x" * 256, (ANY, SLOW), (414, "long-path", "the path is longer than 256 characters")),
        ("/" + "x" * 255, (ANY, SLOW), None),
        ("/x?" + "&" * 99, (ANY,), None),
        ("/x?" + "&" * 100, (ANY,), (400, "bad-query", "the query has more than 100 keys")),
    ],
)
def test_a_url_that_is_too_long_is_not_matched(
    url: str, paths: tuple[str, ...], told: tuple[int, str, str] | None
) -> None:
    assert refused(url, *paths) == told


def test_for_a_long_path_no_similar_one_is_searched() -> None:
    assert refused("/" + "x" * 99, "/" + "x" * 98 + "y") == (
        404,
        "unknown-path",
        f'no path /{"x" * 99} (did you mean "/{"x" * 98}y"?)',
    )
    assert refused("/" + "x" * 100, "/" + "x" * 99 + "y") == (404, "unknown-path", f"no path /{'x' * 100}")
