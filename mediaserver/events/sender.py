"""JSON over HTTP to the operator's own backend: events that media code lets fly, and questions it waits for.

It knows nothing of streams but their ids, and nothing of what an event means. Events of a stream arrive in their
order or not at all, at least once each: an event that is tried again keeps its id. One stream's trouble is its
own.
"""

import asyncio
import json
import traceback
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import stamina
import structlog

from mediaserver.errors import WebhookError
from mediaserver.events.post import Poster, TryAgainError, UnsentError, host_of

_IN_FLIGHT = 16  # events on their way at once, each of a stream of its own
_QUESTION = "question"  # the kind of what is asked rather than told

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where events go, and how long they are worth the trouble."""

    url: str = field(default="", repr=False)  # empty: events go nowhere
    secret: str = field(default="", repr=False)  # signs every request when not empty
    timeout: float = 5.0  # seconds for one attempt
    give_up: float = 60.0  # seconds after which an event that cannot be delivered is let go of
    queue: int = 10_000  # events waiting in all
    events: frozenset[str] | None = None  # types that are sent; None: all


@dataclass(slots=True)
class _Event:
    kind: str
    sequence: int
    body: bytes
    deadline: float  # of the loop's clock
    why: str = "its turn never came"  # it is not delivered yet


@dataclass(slots=True)
class _Stream:
    sequence: int = 0
    waiting: deque[_Event] = field(default_factory=deque)  # the first may be on its way
    sender: asyncio.Task[None] | None = None  # while anything waits
    over: bool = False


class Webhooks:
    """Sends events and questions. Of one event loop: every method is called in it.

    `results` counts events by what became of them, `waiting` is how many are not settled yet. An event's waits
    between attempts double from `backoff` seconds to twenty times that, with up to `backoff` of jitter.
    """

    def __init__(self, settings: WebhookSettings, *, backoff: float = 0.5) -> None:
        self.results = {"sent": 0, "failed": 0, "dropped": 0}
        self.waiting = 0
        self._settings = settings
        self._again_and_again = stamina.AsyncRetryingCaller(
            attempts=None, timeout=None, wait_initial=backoff, wait_max=20 * backoff, wait_jitter=backoff
        ).on(TryAgainError)
        self._twice = stamina.AsyncRetryingCaller(
            attempts=2, timeout=None, wait_initial=backoff / 5, wait_jitter=backoff / 5
        ).on(UnsentError)
        self._streams: dict[str, _Stream] = {}
        self._places = asyncio.Semaphore(_IN_FLIGHT)
        self._dropping = False
        self._closed = False
        self._poster = Poster(settings.secret)

    def wants(self, kind: str) -> bool:
        """Whether events of a type are sent at all."""
        settings = self._settings
        return bool(settings.url) and (settings.events is None or kind in settings.events)

    def emit(self, stream: str, kind: str, data: Mapping[str, Any]) -> None:
        """Queue one event; `data` is written down at once, and may change later.

        Never blocks, and raises nothing. An event that is lost, here or on its way, leaves a gap in the sequence.
        """
        settings = self._settings
        if not self.wants(kind):
            return
        if self._closed:
            self.results["dropped"] += 1
            return
        state = self._streams.setdefault(stream, _Stream())
        state.sequence += 1
        if self.waiting >= settings.queue:
            self.results["dropped"] += 1
            if not self._dropping:
                self._dropping = True
                log.warning("webhook events are dropped: too many wait", host=host_of(settings.url))
            return
        try:
            body = _envelope(stream, kind, state.sequence, data)
        except Exception:  # our own fault, whatever it is; the media must not suffer for it
            self.results["failed"] += 1
            log.exception("webhook event is not JSON", stream=stream, type=kind, sequence=state.sequence)
            return
        loop = asyncio.get_running_loop()
        state.waiting.append(_Event(kind, state.sequence, body, loop.time() + settings.give_up))
        self.waiting += 1
        if state.sender is None:
            state.sender = loop.create_task(self._send_all(stream, state))

    def forget(self, stream: str) -> None:
        """Say that a stream has had its last event: what is known of it is freed when that is settled."""
        state = self._streams.get(stream)
        if state is not None:
            state.over = True
            self._free(stream, state)

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """POST a question, and give the answer: JSON of any type, whatever Content-Type it claims.

        WebhookError, of one plain line, where there is none within `timeout` seconds (those of the settings). It
        is asked a second time only where no connection came about: name not found, refused, unreachable, TLS.
        A time-out, a status or a connection that breaks off is final: the question may have been acted on.
        """
        question = _encode(dict(body)).encode()
        limit = self._settings.timeout if timeout is None else timeout
        answer: bytes = await self._twice(self._poster.post, url, _QUESTION, question, limit)
        try:
            return json.loads(answer, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise WebhookError(f"{host_of(url)}: the answer is not JSON") from None

    async def close(self, seconds: float = 5.0) -> None:
        """Deliver what waits for at most so long; the rest is dropped. Nothing can be sent after."""
        self._closed = True
        senders = [state.sender for state in self._streams.values() if state.sender is not None]
        try:
            if senders:
                await asyncio.wait(senders, timeout=seconds)
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
            if self.waiting:
                self.results["dropped"] += self.waiting
                log.warning("webhook events dropped at the end", events=self.waiting)
            self.waiting = 0
            self._streams.clear()
            await self._poster.close()

    async def _send_all(self, stream: str, state: _Stream) -> None:
        while state.waiting:
            event = state.waiting[0]
            delivered = await self._send(stream, event)
            state.waiting.popleft()
            self.waiting -= 1
            self.results["sent" if delivered else "failed"] += 1
            if self._dropping and self.waiting <= self._settings.queue // 2:  # not at once: it would go to and fro
                self._dropping = False
                log.warning("webhook events are dropped no more", dropped=self.results["dropped"])
        state.sender = None
        self._free(stream, state)

    def _free(self, stream: str, state: _Stream) -> None:
        if state.over and state.sender is None:
            self._streams.pop(stream, None)

    async def _send(self, stream: str, event: _Event) -> bool:
        """Whether an event was delivered in the end."""
        facts = {"stream": stream, "type": event.kind, "sequence": event.sequence}
        try:
            # By its age, so that an outage is not paid for once an event; one too old already ends at the sleep.
            async with asyncio.timeout_at(event.deadline):
                await asyncio.sleep(0)
                await self._again_and_again(self._attempt, event)
        except (WebhookError, TimeoutError):
            log.warning("webhook event not delivered", **facts, why=event.why)
            return False
        except Exception as error:  # our own fault; its message may hold the URL, the stack does not
            stack = "".join(traceback.format_tb(error.__traceback__))
            log.error("webhook event failed", **facts, why=type(error).__name__, stack=stack)
            return False
        return True

    async def _attempt(self, event: _Event) -> None:
        settings = self._settings
        async with self._places:  # given back before the wait for the next attempt, so nobody waits for that
            try:
                await self._poster.post(settings.url, event.kind, event.body, settings.timeout)
            except WebhookError as error:
                if error.status is not None and 200 <= error.status < 300:
                    return  # delivered: nobody asked for the answer's body
                event.why = str(error)
                raise


def _envelope(stream: str, kind: str, sequence: int, data: Mapping[str, Any]) -> bytes:
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    envelope = {"type": kind, "stream": stream, "sequence": sequence, "time": moment, "id": str(uuid.uuid4())}
    return _encode(envelope | {"data": dict(data)}).encode()


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
