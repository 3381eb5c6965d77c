"""Who may do what on the admin port: tokens with scopes, and tickets for pages in a browser.

A browser can add no `Authorization` to a WebSocket or to an `<audio>` element, and proxies would log a token in a
URL. So a page asks for a ticket with its token, and puts the ticket into the URL. A ticket is good for one
request, for one path, for half a minute.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from aiohttp import web

from mediaserver.config.listener_settings import AdminSettings, Scope
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.routing.access import any_token_matches, tokens_in_header

TICKET = "ticket"  # the key of a URL's query that holds a ticket
TICKET_SECONDS = 30.0
_MAX_TICKETS = 1000  # the most unused tickets; with one more, the oldest becomes void

_ALL = frozenset(Scope)


class Grant(NamedTuple):
    """What a request may do. `name` is the name of its token, for the log; `digest` is the hash of the token.

    A grant is in force as long as the configuration has the same token, under the same name, with the same scopes.
    """

    name: str
    scopes: frozenset[Scope]
    digest: bytes = b""

    @property
    def caller(self) -> str:
        """The name of the request's token, or "anybody", by which the log and events say who made the request."""
        return self.name or "anybody"

    def require(self, scope: Scope) -> None:
        """Raise RefusedError 403 if the token lacks `scope`."""
        if scope not in self.scopes:
            raise RefusedError(RefusalReason.SCOPE, f"the token {self.name} lacks the scope {scope}")


ANYBODY = Grant("", _ALL)  # the rights of everybody if the settings have no token
GRANT = web.RequestKey("grant", Grant)  # `request[GRANT]` is the request's grant


class _Ticket(NamedTuple):
    path: str
    grant: Grant
    expires: float


class Tickets:
    """The tickets that were issued and not used yet. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: dict[str, _Ticket] = {}

    def issue(self, path: str, grant: Grant) -> str:
        """A new ticket for one request to a path, with the rights of `grant`."""
        while len(self._issued) >= _MAX_TICKETS:
            del self._issued[next(iter(self._issued))]
        ticket = secrets.token_urlsafe(24)
        self._issued[ticket] = _Ticket(path, grant, self._clock() + TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str, path: str, grants: Collection[Grant]) -> Grant:
        """Use up a ticket, and return the rights that it gives for a path. RefusedError 401 if it is void.

        `grants` are those in force: a ticket is void as soon as the token that it was issued for is.
        """
        found = self._issued.pop(ticket, None)
        if found is None or found.path != path or found.expires < self._clock() or found.grant not in grants:
            raise RefusedError(RefusalReason.UNAUTHORISED, "the ticket is used, expired, or for another path")
        return found.grant


def in_force(settings: AdminSettings, tokens: Mapping[str, str]) -> dict[Grant, str]:
    """The grants that are in force, each with its token; ANYBODY alone if the settings have no token.

    `tokens` are secrets by their settings' keys, such as `admin.token`.
    """
    named = [("admin", tokens["admin.token"], _ALL)] if tokens["admin.token"] else []
    for name, token in settings.tokens.items():
        named.append((name, tokens[f"admin.tokens.{name}.token"], frozenset(token.scopes)))
    if not named:
        return {ANYBODY: ""}
    return {
        Grant(name, scopes, hashlib.sha256(token.encode(errors="backslashreplace")).digest()): token
        for name, token, scopes in named
    }


def authorize(authorization: str, grants: Mapping[Grant, str]) -> Grant:
    """The grant that a request's header `Authorization` gives; ANYBODY if the settings have no token.

    `grants` are those in force, with their tokens. RefusedError 401 without a valid token.
    """
    if ANYBODY in grants:
        return ANYBODY
    offered = list(tokens_in_header(authorization))
    # All tokens are compared, so that the time taken does not tell which of the tokens is the right one.
    matching = [grant for grant, token in grants.items() if any_token_matches(offered, [token])]
    if not matching:
        raise RefusedError(RefusalReason.UNAUTHORISED, "needs a token: Authorization: Bearer")
    return matching[0]
