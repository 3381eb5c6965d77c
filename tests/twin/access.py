"""Who may ask the platform for anything: tokens, access keys, and how often."""

import time
from collections import deque

from aiohttp import web


class Access:
    """Credentials of one customer, and its rate limit, which is some 16 requests a second (read)."""

    def __init__(self, token: str, access_key: str, rate_limit: int | None) -> None:
        self._valid = {"token": token, "accesskey": access_key}
        self._rate_limit = rate_limit
        self._admitted: deque[float] = deque()  # times of the last second's requests
        self._forbidden: set[str] = set()

    def forbid(self, token: str) -> None:
        self._forbidden.add(token)

    def refusal(self, request: web.Request) -> int | None:
        """401 for who is unknown, 429 for who asks too often.

        Read: a JWT comes as `token` or as Bearer, an access key only as `accesskey`; the cookies that the platform
        takes too are not in the twin. Guess: the limit is of any one second, and a 429 does not count towards it.
        """
        kind, secret = credential(request)
        if secret is None or (secret != self._valid[kind] and secret not in self._forbidden):
            return 401
        if self._rate_limit is None:
            return None
        now = time.monotonic()
        while self._admitted and self._admitted[0] <= now - 1:
            self._admitted.popleft()
        if len(self._admitted) >= self._rate_limit:
            return 429
        self._admitted.append(now)
        return None

    def permitted(self, request: web.Request) -> bool:
        """Whether this customer may have media streams."""
        return credential(request)[1] not in self._forbidden


def credential(request: web.Request) -> tuple[str, str | None]:
    """Its kind, `token` or `accesskey`, and itself."""
    if "token" in request.query:
        return "token", request.query["token"]
    if "accesskey" in request.query:
        return "accesskey", request.query["accesskey"]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return "token", token if scheme.lower() == "bearer" else None
