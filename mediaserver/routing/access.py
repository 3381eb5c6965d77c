"""Checks a peer's access to a path: by the peer's network, by a token, or by a link that was signed with a token.

A signed link has `expires` (Unix seconds) and `sig` in its query. `sig` is the HMAC-SHA256 (RFC 2104) in hex of
three lines: the URL path, the value of `expires`, and all other parameters of the query, sorted by name and
form-encoded. The secret of the HMAC is a token. The link gives access to this path with this query until it
expires. Secrets are compared in constant time, and no message contains them.
"""

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from urllib.parse import urlencode

from yarl import URL

from mediaserver.call.stream import CREDENTIALS, EXPIRES, SIGNATURE, TOKEN
from mediaserver.config.fields import Networks
from mediaserver.errors import RefusalReason, RefusedError

_NAMED = 5  # the maximum number of open paths that a message names


@dataclass(frozen=True)
class Access:
    """The access rules of a path: which peers may dial it. Without networks and tokens, every peer may."""

    networks: Networks = ()
    tokens: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        named = ["tokens"] * bool(self.tokens) + ["networks"] * bool(self.networks)
        return " and ".join(named) or "open"

    @property
    def is_open(self) -> bool:
        """Whether every peer that reaches the port may dial the path."""
        return not (self.tokens or self.networks)

    def authorize(self, address: str, url: URL, authorization: str, now: float) -> None:
        """Check that the peer at the IP `address` may dial `url` with its HTTP header `authorization`.

        `now` is in Unix seconds: a signed link may have expired. Raises RefusedError: 403 if the peer's network is
        not allowed, or if a link is forged or expired; 401 if there is no valid token.
        """
        if self.networks and not _is_in_networks(address, self.networks):
            raise RefusedError(RefusalReason.NETWORK, "not allowed from your network")
        if not self.tokens:
            return
        offered = [*url.query.getall(TOKEN, ()), *tokens_in_header(authorization)]
        if any_token_matches(offered, self.tokens):
            return
        if SIGNATURE in url.query:
            self._verify_link(url, now)
        elif offered:
            raise RefusedError(RefusalReason.UNAUTHORISED, "the token is wrong")
        else:
            raise RefusedError(
                RefusalReason.UNAUTHORISED, "needs a token: ?token=…, Authorization: Bearer, or a signed link"
            )

    def _verify_link(self, url: URL, now: float) -> None:
        expires, signature = url.query.get(EXPIRES, ""), url.query[SIGNATURE]
        # `expires` must be digits alone, because a line break in it would shift text between the signed lines.
        numeric = re.fullmatch("[0-9]{1,12}", expires) is not None
        signatures = [_signature(url, expires, token) for token in self.tokens]
        if not numeric or not any_token_matches([signature], signatures):
            raise RefusedError(RefusalReason.SIGNATURE, "the signature does not fit this URL")
        if now >= int(expires):
            raise RefusedError(RefusalReason.EXPIRED, "the link has expired")

    def sign(self, url: URL, expires: int) -> str:
        """Sign a URL: return the text to add to the URL's query, which makes it a link valid until `expires`.

        `expires` is in Unix seconds. ValueError if the query already has credentials. There must be tokens.
        """
        if named := CREDENTIALS & url.query.keys():
            raise ValueError(f"has {' and '.join(sorted(named))} in its query already")
        return f"{EXPIRES}={expires}&{SIGNATURE}={_signature(url, str(expires), self.tokens[0])}"


def _signature(url: URL, expires: str, token: str) -> str:
    rest = [(key, value) for key, value in url.query.items() if key not in (EXPIRES, SIGNATURE)]
    rest.sort(key=itemgetter(0))  # sort by name alone, so that the values of a repeated parameter keep their order
    text = "\n".join((url.path_safe, expires, urlencode(rest, errors="backslashreplace")))
    return hmac.digest(token.encode(), text.encode(errors="backslashreplace"), "sha256").hex()


def any_token_matches(offered: Iterable[str], tokens: Sequence[str]) -> bool:
    """Whether one of the `offered` texts is among the `tokens`. All pairs are compared, each in constant time."""
    pairs = [(one.encode(errors="backslashreplace"), token.encode()) for one in offered for token in tokens]
    return any([hmac.compare_digest(*pair) for pair in pairs])  # noqa: C419 - the list makes it compare all pairs


def tokens_in_header(authorization: str) -> Iterator[str]:
    """Yield the token of an Authorization header: a bearer token (RFC 6750), or a Basic password (RFC 7617)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip()
    elif scheme.lower() == "basic":
        try:
            yield base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return


def _is_in_networks(address: str, networks: Networks) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip  # IPv4-mapped networks are IPv4 networks in the settings, too
    return any(ip in network for network in networks)


def describe_open_paths(open_paths: Sequence[str], paths: int) -> str:
    """A line for the operator: how many paths, of `paths` in all, any peer may dial, and which paths these are."""
    if not open_paths:
        return "no path is open to anybody who reaches the port"
    some = f"{len(open_paths)} of {paths} paths {'is' if len(open_paths) == 1 else 'are'}"
    named = ", ".join(open_paths[:_NAMED]) + (", …" if len(open_paths) > _NAMED else "")
    return f"{some} open to anybody who reaches the port (see defaults.tokens and defaults.allow): {named}"
