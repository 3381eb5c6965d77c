"""Protects the admin port from requests of other sites' web pages, by their headers Host and Origin.

A hostile site may have its own name resolve to this server's address (DNS rebinding). The site's pages can then
send requests to this server, and the browser takes them for requests to the site itself. The Host header of such a
request has the site's name.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence

from mediaserver.errors import RefusalReason, RefusedError

_AUTHORITY = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?"
_ORIGIN = re.compile(rf"null|[A-Za-z][A-Za-z0-9+.-]*://({_AUTHORITY})")


def validate_host(headers: Sequence[str], names: Collection[str]) -> None:
    """Check a request's Host headers (RFC 9110, section 7.2) against the server's `names`, given in lower case.

    Any IP address passes, because DNS rebinding needs a name. `localhost` passes, too. RefusedError: 400 if there
    is not exactly one valid header, 403 if the header has a name that is not in `names`.
    """
    if len(headers) != 1 or not re.fullmatch(_AUTHORITY, headers[0]):
        raise RefusedError(
            RefusalReason.MALFORMED,
            "the header Host is missing or invalid: it should be a host, and perhaps a port",
        )
    host = headers[0].rpartition("]")[0][1:] or headers[0].partition(":")[0]
    name = host.lower().removesuffix(".")
    if not (_is_address(name) or name == "localhost" or name in names):
        raise RefusedError(RefusalReason.HOST, f"{name} is not a name of this server: add it to admin.hosts")


def validate_origin(origins: Sequence[str], hosts: Sequence[str]) -> None:
    """Check a request's Origin headers (RFC 6454, section 7) against its Host headers.

    RefusedError: 400 if a header is no valid origin, 403 if a page of another site made the request.
    """
    for origin in origins:
        if not (found := _ORIGIN.fullmatch(origin)):
            raise RefusedError(RefusalReason.MALFORMED, "the header Origin is not a valid origin")
        if found[1] is None or [found[1].lower()] != [host.lower() for host in hosts]:
            raise RefusedError(RefusalReason.ORIGIN, "pages of other sites may not send requests")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
