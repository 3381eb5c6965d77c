"""The names by which a server is asked for, and the pages that ask.

A page of a stranger's site may have that site's name lead to this address (DNS rebinding): to the browser, its
requests are then for its own site. The header Host still has the name.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence

from mediaserver.errors import RefusalReason, RefusedError

_AUTHORITY = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?"
_ORIGIN = re.compile(rf"null|[A-Za-z][A-Za-z0-9+.-]*://({_AUTHORITY})")


def check_host(headers: Sequence[str], names: Collection[str]) -> None:
    """Hold a request's Host headers (RFC 9110, section 7.2) against `names`, which are in lower case.

    An address needs no name to lead there, so no rebinding has one: every address passes, and localhost does.
    RefusedError 400 where there is not just one, or none that is a host; 403 where it is another's.
    """
    if len(headers) != 1 or not re.fullmatch(_AUTHORITY, headers[0]):
        raise RefusedError(RefusalReason.MALFORMED, "needs a header Host that is a host and perhaps a port")
    host = headers[0].rpartition("]")[0][1:] or headers[0].partition(":")[0]
    name = host.lower().removesuffix(".")
    if not (_is_address(name) or name == "localhost" or name in names):
        raise RefusedError(RefusalReason.HOST, f"{name} is none of this server's names: see admin.hosts")


def check_origin(origins: Sequence[str], hosts: Sequence[str]) -> None:
    """Hold a request's Origin headers (RFC 6454, section 7) against its Host headers.

    RefusedError 400 where it is no origin, 403 where it is another's: the request is a page's of another site.
    """
    for origin in origins:
        if not (found := _ORIGIN.fullmatch(origin)):
            raise RefusedError(RefusalReason.MALFORMED, "the header Origin is no origin")
        if found[1] is None or [found[1].lower()] != [host.lower() for host in hosts]:
            raise RefusedError(RefusalReason.ORIGIN, "not for pages of other sites")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
