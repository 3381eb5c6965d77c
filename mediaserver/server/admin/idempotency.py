"""Recognises requests that a client sends again, by their header `Idempotency-Key`, and repeats the first answer.

A client that got no answer cannot know whether its request was acted upon. Of all requests with one idempotency
key, only the first is acted upon; the others get its answer (IETF draft "The Idempotency-Key HTTP Header Field").
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.admin.schemas.openapi import Handler
from mediaserver.server.admin.schemas.requests import read_body

HEADER = "Idempotency-Key"
KEPT_SECONDS = 600.0
# The most answers that are kept; with more, the oldest is forgotten before `KEPT_SECONDS` are over.
MOST_KEPT = 10_000
_MAX_KEY = 200  # the most characters of an idempotency key


class _Answer(NamedTuple):
    status: int
    text: str | None
    headers: dict[str, str]

    def response(self) -> web.Response:
        """Make another response of this answer, because aiohttp sends a response only once."""
        return web.Response(status=self.status, text=self.text, headers=self.headers)


class _Entry(NamedTuple):
    body: bytes  # the hash of the first request's body
    since: float
    answer: "asyncio.Future[_Answer]"


class IdempotentAnswers:
    """The answers to the latest `most` requests with an idempotency key. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MOST_KEPT) -> None:
        self._clock, self._most = clock, most
        self._entries: dict[tuple[str, str, str, str], _Entry] = {}

    async def handle(self, request: web.Request, by: str, handler: Handler) -> web.StreamResponse:
        """Handle a request. If one with its idempotency key, path and token was handled, repeat that answer.

        An error is not kept: the request is then handled again. RefusedError 422 if the bodies of the two differ.
        """
        text = request.headers.get(HEADER, "")
        if not text:
            return await handler(request)
        if len(text) > _MAX_KEY:
            raise RefusedError(RefusalReason.BAD_KEY, f"{HEADER} should be of at most {_MAX_KEY} characters")
        key, body = (by, request.method, request.path, text), hashlib.sha256(await read_body(request)).digest()
        self._forget_old(self._most)
        entry = self._entries.get(key)
        if entry is not None:
            if entry.body != body:
                raise RefusedError(RefusalReason.BAD_KEY, f"{HEADER} was used for another request already")
            return (await asyncio.shield(entry.answer)).response()
        self._forget_old(self._most - 1)
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._entries[key] = _Entry(body, self._clock(), answer)
        try:
            response = await handler(request)
        except BaseException as error:
            self._entries.pop(key, None)
            answer.set_exception(
                error if isinstance(error, Exception) else RuntimeError("the first request broke off")
            )
            answer.exception()  # reading the error stops asyncio from logging it
            raise
        assert isinstance(response, web.Response)  # noqa: S101 - answers that last have no keys
        location = {
            name: response.headers[name] for name in ("Location", "Content-Type") if name in response.headers
        }
        answer.set_result(_Answer(response.status, response.text, location))
        return response

    def _forget_old(self, most: int) -> None:
        """Forget answers that are too old, and the oldest ones if more than `most` answers are kept.

        Requests in progress are passed over. They are few, as each has a connection of its own.
        """
        oldest, excess = self._clock() - KEPT_SECONDS, len(self._entries) - most
        forgotten = list[tuple[str, str, str, str]]()
        for key, entry in self._entries.items():
            if not entry.answer.done():
                continue
            if entry.since > oldest and len(forgotten) >= excess:
                break
            forgotten.append(key)
        for key in forgotten:
            del self._entries[key]
