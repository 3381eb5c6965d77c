"""A stream's identity: its ids, its URL path, its peer, and the variables that the peer brings along."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import structlog

from mediaserver.support.rate_limit import LogLimiter
from mediaserver.support.urls import is_unsafe_segment

# Keys of a URL's query that grant access to a path. Neither handlers nor applications see them.
TOKEN, EXPIRES, SIGNATURE = "token", "expires", "sig"
CREDENTIALS = {TOKEN, EXPIRES, SIGNATURE}

# Limits of the variables that a peer brings, because any peer may send variables, and each event holds them.
MAX_VARIABLES = 50
MAX_VARIABLE_NAME, MAX_VARIABLE = 64, 1000  # the most characters of a variable's name, and of its value

_LEFT_OUT = LogLimiter()  # limits the log lines about variables that exceed the limits

log = structlog.get_logger()

Clock = Callable[[], float]  # returns the monotonic time in seconds


@dataclass(frozen=True, slots=True)
class Stream:
    """The identity of a stream: for logs and events, and for handlers to decide by."""

    id: str
    path: str  # the URL's path that was dialled, without the query
    peer: str  # address of the far end
    query: Mapping[str, str] = field(default_factory=dict, repr=False)  # the URL's query, which may hold a token
    # The stream's variables. Those of the request `attach`, if the server has dialled the stream, override
    # those of the URL's path. Those of the path override those of the URL's query.
    variables: Mapping[str, str] = field(default_factory=dict)
    resource: str = ""  # the call or conference whose stream the server dialled: `calls/<id>`, `conferences/<id>`
    route: str = ""  # the path's pattern, as configured
    untrusted: bool = False  # whether the path is open to every peer, so that anybody may have written the URL
    call: str = ""  # the peer's own id of the call, where its URL or its headers name one
    label: str = ""  # a name that a request to the admin port has given the stream

    @property
    def event_resource(self) -> str:
        """The call's name in events and webhooks: `resource`, else `calls/<the peer's own id>`, "" without an id.

        The id is percent-encoded, so that it is one segment of a URL path, whatever the peer put into it. An id
        that cannot be a segment, such as "..", is left out.
        """
        call = quote(self.call, safe="@:+~", errors="backslashreplace")
        return self.resource or (f"calls/{call}" if not is_unsafe_segment(call) else "")

    @property
    def kind(self) -> str:
        """`calls` or `conferences` if the server dialled the stream, else the URL path without its outer slashes.

        This kind is the value of `{resource}` in the names of files.
        """
        return self.resource.partition("/")[0] or self.path.strip("/")

    @property
    def subject(self) -> str:
        """The id of the call or conference whose stream the server dialled, else the id of the stream itself."""
        return self.resource.partition("/")[2] or self.id


def peer_variables(named: Mapping[str, str], stream: str = "", path: str = "") -> dict[str, str]:
    """The variables that a peer brings, in its URL's query or otherwise, without those that exceed the limits."""
    found: dict[str, str] = {}
    for key, value in named.items():
        if len(found) < MAX_VARIABLES and len(key) <= MAX_VARIABLE_NAME and len(value) <= MAX_VARIABLE:
            found[key] = value
    if len(found) < len(named) and (unlogged := _LEFT_OUT.try_acquire()) is not None:
        left_out = [key[:MAX_VARIABLE_NAME] for key in named if key not in found]
        log.warning(
            "peer variables exceed limits",
            **({"stream": stream} if stream else {}),  # the stream may have no id yet
            path=path,
            keys=left_out[:5],
            left_out=len(left_out),
            **unlogged,
        )
    return found
