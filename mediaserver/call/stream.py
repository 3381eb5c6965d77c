"""What a stream is, and how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import structlog

from mediaserver.support.rate_limit import LoggedRarely
from mediaserver.support.urls import leads_elsewhere

# Keys of a query that may open a path: no handler's business, and no application's.
TOKEN, EXPIRES, SIGNATURE = "token", "expires", "sig"
CREDENTIALS = {TOKEN, EXPIRES, SIGNATURE}

# What a peer may add to a stream's variables: a stranger wrote it, and it travels in every event.
MAX_VARIABLES = 50
MAX_VARIABLE_NAME, MAX_VARIABLE = 64, 1000  # characters of a name, and of a value

_LEFT_OUT = LoggedRarely()  # lines about variables of peers

log = structlog.get_logger()

Clock = Callable[[], float]  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Stream:
    """What a stream is: names for logs, and what a handler may go by."""

    id: str
    path: str  # as dialled, without its query
    peer: str  # address of the far end
    query: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a token
    # Of the query (`Route.stream_variables`), over them the path's, and over these what `attach` was given.
    variables: Mapping[str, str] = field(default_factory=dict)
    resource: str = ""  # where we dialled: `calls/<id>` or `conferences/<id>`
    route: str = ""  # the path's pattern, as configured
    stranger: bool = False  # anybody may dial the path, and the peer has written the URL
    call: str = ""  # the peer's own id of the call, where its URL or its headers name one

    @property
    def told_resource(self) -> str:
        """What events and webhooks know the call by: `resource`, else `calls/<the peer's own id>`, "" without one.

        The id is percent-encoded: it is one segment of a path, whatever the peer has put into it. One that cannot
        be, such as "..", is none.
        """
        call = quote(self.call, safe="@:+~", errors="backslashreplace")
        return self.resource or (f"calls/{call}" if not leads_elsewhere(call) else "")

    @property
    def kind(self) -> str:
        """`calls` or `conferences` where we dialled, else the path."""
        return self.resource.partition("/")[0] or self.path.strip("/")

    @property
    def subject(self) -> str:
        """The call's or conference's id where we dialled, else the stream's own."""
        return self.resource.partition("/")[2] or self.id


def peer_variables(named: Mapping[str, str], stream: str = "", path: str = "") -> dict[str, str]:
    """What a peer has named, in its URL's query or otherwise, as variables: not too many, and none too long."""
    found: dict[str, str] = {}
    for key, value in named.items():
        if len(found) < MAX_VARIABLES and len(key) <= MAX_VARIABLE_NAME and len(value) <= MAX_VARIABLE:
            found[key] = value
    if len(found) < len(named) and (unlogged := _LEFT_OUT.take()) is not None:
        left_out = [key[:MAX_VARIABLE_NAME] for key in named if key not in found]
        log.warning(
            "variables left out: too many, or too long",
            **({"stream": stream} if stream else {}),  # it may have none yet
            path=path,
            keys=left_out[:5],
            left_out=len(left_out),
            **unlogged,
        )
    return found
