"""Who may dial a path: networks, tokens, and links that a token signed.

A signed link has `expires` (Unix seconds) and `sig` in its query: the hex HMAC-SHA256 (RFC 2104), by a token, of
three lines: the path, the expiry, and the rest of the query, sorted by its keys and form-encoded. It is good for
that path and query until then. Secrets are compared in constant time, and are in no message.
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

_NAMED = 5  # paths, at most, in what is told of them


@dataclass(frozen=True)
class Access:
    """Who may dial a path; none named: everybody."""

    networks: Networks = ()
    tokens: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        named = ["tokens"] * bool(self.tokens) + ["networks"] * bool(self.networks)
        return " and ".join(named) or "open"

    @property
    def is_open(self) -> bool:
        """Whether anybody may dial it who reaches the port."""
        return not (self.tokens or self.networks)

    def check(self, address: str, url: URL, authorization: str, now: float) -> None:
        """Let a peer pass; RefusedError: 403 for its network or a link that does not hold, 401 without a token.

        `now` is Unix time.
        """
        if self.networks and not _is_in(address, self.networks):
            raise RefusedError(RefusalReason.NETWORK, "not from your network")
        if not self.tokens:
            return
        offered = [*url.query.getall(TOKEN, ()), *credentials(authorization)]
        if are_known(offered, self.tokens):
            return
        if SIGNATURE in url.query:
            self._check_link(url, now)
        elif offered:
            raise RefusedError(RefusalReason.UNAUTHORISED, "the token is wrong")
        else:
            raise RefusedError(
                RefusalReason.UNAUTHORISED, "needs a token: ?token=…, Authorization: Bearer, or a signed link"
            )

    def _check_link(self, url: URL, now: float) -> None:
        expires, signature = url.query.get(EXPIRES, ""), url.query[SIGNATURE]
        numeric = re.fullmatch("[0-9]{1,12}", expires) is not None  # so the lines cannot be cut otherwise
        if not numeric or not are_known([signature], [_signature(url, expires, token) for token in self.tokens]):
            raise RefusedError(RefusalReason.SIGNATURE, "the signature does not fit this URL")
        if now >= int(expires):
            raise RefusedError(RefusalReason.EXPIRED, "the link has expired")

    def sign(self, url: URL, expires: int) -> str:
        """What makes a URL a link that is good until `expires`, Unix seconds, to be added to its query.

        ValueError where it cannot be signed.
        """
        if not self.tokens:
            raise ValueError("there are no tokens on this path: anybody may dial it as it is")
        if named := CREDENTIALS & url.query.keys():
            raise ValueError(f"has {' and '.join(sorted(named))} in its query already")
        return f"{EXPIRES}={expires}&{SIGNATURE}={_signature(url, str(expires), self.tokens[0])}"


def _signature(url: URL, expires: str, token: str) -> str:
    rest = [(key, value) for key, value in url.query.items() if key not in (EXPIRES, SIGNATURE)]
    rest.sort(key=itemgetter(0))  # of one key that comes twice, the order means something
    text = "\n".join((url.path_safe, expires, urlencode(rest, errors="backslashreplace")))
    return hmac.digest(token.encode(), text.encode(errors="backslashreplace"), "sha256").hex()


def are_known(offered: Iterable[str], tokens: Sequence[str]) -> bool:
    """Whether one of those offered is a token; all are compared, each in constant time."""
    pairs = [(one.encode(errors="backslashreplace"), token.encode()) for one in offered for token in tokens]
    return any([hmac.compare_digest(*pair) for pair in pairs])  # noqa: C419


def credentials(authorization: str) -> Iterator[str]:
    """The token in an Authorization header (RFC 6750, RFC 7617), if there is one."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip()
    elif scheme.lower() == "basic":
        try:
            yield base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return


def _is_in(address: str, networks: Networks) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip  # as the networks are
    return any(ip in network for network in networks)


def open_to_anybody(open_paths: Sequence[str], paths: int) -> str:
    """How many of so many paths are open, and which: what an operator should know of a server."""
    if not open_paths:
        return "no path is open to anybody who reaches the port"
    some = f"{len(open_paths)} of {paths} paths {'is' if len(open_paths) == 1 else 'are'}"
    named = ", ".join(open_paths[:_NAMED]) + (", …" if len(open_paths) > _NAMED else "")
    return f"{some} open to anybody who reaches the port (see defaults.tokens and defaults.allow): {named}"
