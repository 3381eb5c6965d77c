"""Parts of URLs: what says which server is asked, and what keeps its place in a path."""

import re
from urllib.parse import unquote

_DECODINGS = 4  # times that a segment may have been percent-encoded
# What servers leave out of a segment before they look at its dots: parameters, spaces, control characters.
_LEFT_OUT = re.compile(r"[\x00-\x20\x7f]|;.*", re.DOTALL)


def origin(url: str) -> str:
    """A URL's scheme, user, host and port, `wss://user@host:1`; all of a text that is none."""
    scheme, colon, rest = url.partition("://")
    return scheme + colon + re.split("[/?#]", rest, maxsplit=1)[0] if colon else url


def leads_elsewhere(segment: str) -> bool:
    """Whether a segment of a URL's path, percent-encoded, would not be one segment to every server.

    It is empty, or "." or ".." (RFC 3986, section 5.2.4), as a whole or between slashes that are encoded in it.
    Servers differ in how often they decode a path before they look for these.
    """
    for _ in range(_DECODINGS):
        segment = unquote(segment)
    if not segment or unquote(segment) != segment:
        return True
    return any(_LEFT_OUT.sub("", part) in (".", "..") for part in re.split(r"[/\\]", segment))
