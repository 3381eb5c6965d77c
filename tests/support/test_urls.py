"""Parts of URLs: where a server's name ends, and which segments of a path are segments to everybody."""

import pytest

from mediaserver.support.urls import is_unsafe_segment, origin


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://bots.example.com/a/b", "wss://bots.example.com"),
        ("ws://user:{x}@[::1]:80?a/b", "ws://user:{x}@[::1]:80"),
        ("ws://h#/x", "ws://h"),
        ("{u}", "{u}"),
        ("{scheme}://h/x", "{scheme}://h"),
    ],
)
def test_the_origin_of_a_url(url: str, expected: str) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "segment",
    [
        *("", ".", "..", "%2e", "%2E%2e", ".%2e", "%252e%252e", "%25252e.", "%25%32%65.", "%2525252525"),
        *("..;a=b", "%2e%2e%3Bx", "..%00", "..%20", ".%09.", "a%2F..%2Fb", "a%252f..", "..%5Cx", "a/./b"),
    ],
)
def test_an_unsafe_segment(segment: str) -> None:
    assert is_unsafe_segment(segment)


@pytest.mark.parametrize(
    "segment", ["a", "...", "a..", ".a", "a.b", "a%2Fb", "a%2F%2Fb", "100%25", "%3B..", "a;..", "é"]
)
def test_a_safe_segment(segment: str) -> None:
    assert not is_unsafe_segment(segment)
