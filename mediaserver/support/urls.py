"""Functions for parts of URLs: the origin, which names the server, and the segments of the path."""

import re
from urllib.parse import unquote

_DECODINGS = 4  # how many times a segment may be percent-encoded; one that is encoded more often counts as unsafe
# What some servers drop from a path segment before they look for `.` and `..`: spaces, control characters, and
# parameters (`;` and what follows).
_LEFT_OUT = re.compile(r"[\x00-\x20\x7f]|;.*", re.DOTALL)


def origin(url: str) -> str:
    """A URL's scheme, user, host and port, such as `wss://user@host:1`; the whole text if it is no URL."""
    scheme, colon, rest = url.partition("://")
    return scheme + colon + re.split("[/?#]", rest, maxsplit=1)[0] if colon else url


def is_unsafe_segment(segment: str) -> bool:
    """Whether a server might drop a percent-encoded segment of a URL's path, or the segment before it.

    An unsafe segment is empty, or it is "." or ".." (RFC 3986, section 5.2.4), as a whole or between encoded
    slashes. Servers differ in how often they decode a path before they look for such segments.
    """
    for _ in range(_DECODINGS):
        segment = unquote(segment)
    if not segment or unquote(segment) != segment:
        return True
    return any(_LEFT_OUT.sub("", part) in (".", "..") for part in re.split(r"[/\\]", segment))
