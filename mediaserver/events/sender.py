"""Webhooks: sends events to the operator's own backend in the background, and asks the backend questions.

Events of one stream are delivered in their order, at least once each, or are dropped. An event that is sent again
keeps its id. Failed events of one stream do not delay events of others. The sender knows streams by their ids
alone, and does not interpret events.
"""

import asyncio
import json
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import stamina
import structlog

from mediaserver.errors import WebhookError
from mediaserver.events.envelope import Event, to_json
from mediaserver.events.webhook_client import RetryableError, UnsentError, WebhookClient, host_of

_IN_FLIGHT = 16  # the maximum number of events that are posted at the same time, each of a different stream
_WAITED = "it waited too long behind others"  # why an event was dropped that was never sent
_QUESTION = "question"  # the value of the header X-Mediaserver-Event for a question

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The settings of webhooks: where events are sent, and when the attempts to deliver an event end."""

    url: str = field(default="", repr=False)  # the URL to which events are posted; "" to send no events
    secret: str = field(default="", repr=False)  # the secret that signs every request; "" for no signature
    timeout: float = 5.0  # the time limit in seconds for one attempt to deliver an event
    give_up: float = 60.0  # the age in seconds at which an undelivered event is dropped
    queue: int = 10_000  # the maximum number of waiting events of all streams; further events are dropped
    events: frozenset[str] | None = None  # the kinds of events that are sent; None for all kinds


@dataclass(slots=True)
class _Delivery:
    kind: str
    sequence: int
    body: bytes
    deadline: float  # the time at which the event is dropped, by the event loop's clock
    why: str = ""  # the reason why the latest attempt to deliver the event has failed; "" before


@dataclass(slots=True)
class _Stream:
    sequence: int = 0
    waiting: deque[_Delivery] = field(default_factory=deque)  # undelivered events; the first may be being sent
    why: str = _WAITED  # the reason why the latest attempt to deliver an event of the stream has failed
    sender: asyncio.Task[None] | None = None  # the task that posts the stream's events; None while none waits
    over: bool = False


class Webhooks:
    """Sends events and questions to the operator's backend. All methods must be called in one event loop.

    `results` counts events by their result; `waiting` counts events without a result. The waits between attempts
    to send one event double from `backoff` to 20 `backoff` seconds, plus a random time of up to `backoff` seconds.
    `on_failed` is called with the stream of an event that could not be delivered, and the reason.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        backoff: float = 0.5,
        on_failed: Callable[[str, str], None] = lambda stream, why: None,
    ) -> None:
        self.results = {"sent": 0, "failed": 0, "dropped": 0}
        self.waiting = 0
        self._settings = settings
        self._retry_until_deadline = stamina.AsyncRetryingCaller(
            attempts=None, timeout=None, wait_initial=backoff, wait_max=20 * backoff, wait_jitter=backoff
        ).on(RetryableError)
        self._retry_once = stamina.AsyncRetryingCaller(
            attempts=2, timeout=None, wait_initial=backoff / 5, wait_jitter=backoff / 5
        ).on(UnsentError)
        self._streams: dict[str, _Stream] = {}
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._on_failed = on_failed
        self._dropping = False
        self._closed = False
        self._client = WebhookClient(settings.secret)

    def is_subscribed(self, kind: str) -> bool:
        """Whether events of `kind` are sent: a URL is set, and the setting `events.types` includes the kind."""
        settings = self._settings
        return bool(settings.url) and (settings.events is None or kind in settings.events)

    def emit(self, event: Event) -> None:
        """Queue one event. Its data is serialized at once, and may change afterwards.

        Never blocks, and raises nothing. An event that is dropped or fails leaves a gap in the sequence numbers.
        """
        settings, stream, kind = self._settings, event.stream, event.kind
        if not self.is_subscribed(kind):
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
                log.warning("webhook queue full", host=host_of(settings.url))
            return
        try:
            body = event.envelope(state.sequence).encode()
        except Exception:  # a bug in an event must not stop the call
            self.results["failed"] += 1
            log.exception("webhook event not serializable", stream=stream, type=kind, sequence=state.sequence)
            return
        loop = asyncio.get_running_loop()
        state.waiting.append(_Delivery(kind, state.sequence, body, loop.time() + settings.give_up))
        self.waiting += 1
        if state.sender is None:
            state.sender = loop.create_task(self._send_all(stream, state))

    def end_stream(self, stream: str) -> None:
        """Note that a stream has emitted its last event. Its data is freed once all its events have a result."""
        state = self._streams.get(stream)
        if state is not None:
            state.over = True
            self._free(stream, state)

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """POST a question, and return the answer: JSON of any type, whatever its Content-Type.

        WebhookError, with a text of one line, if no answer comes within `timeout` seconds (by default the
        settings' `timeout`). A question is sent a second time only if no connection was made: name not found,
        refused, unreachable, TLS. A time-out, an error status or a broken connection is final, since the backend
        may have acted on the question.
        """
        question = to_json(dict(body)).encode()
        limit = self._settings.timeout if timeout is None else timeout
        answer: bytes = await self._retry_once(self._client.post, url, _QUESTION, question, limit)
        try:
            return json.loads(answer, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise WebhookError(f"{host_of(url)}: the answer is not JSON") from None

    async def close(self, seconds: float = 5.0) -> None:
        """Deliver waiting events for at most `seconds`, then drop the rest. Nothing can be sent afterwards."""
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
                log.warning("webhook events dropped on shutdown", events=self.waiting)
            self.waiting = 0
            self._streams.clear()
            await self._client.close()

    async def _send_all(self, stream: str, state: _Stream) -> None:
        while state.waiting:
            event = state.waiting[0]
            delivered = await self._send(stream, event)
            state.waiting.popleft()
            if not delivered:
                state.why = event.why or state.why  # an event that was never tried has waited behind others
                self._on_failed(stream, state.why)
            self.waiting -= 1
            self.results["sent" if delivered else "failed"] += 1
            if (
                self._dropping and self.waiting <= self._settings.queue // 2
            ):  # not before half the queue is free: else the log would say in turns that dropping begins and ends
                self._dropping = False
                log.warning("webhook queue recovered", dropped=self.results["dropped"])
        state.sender = None
        self._free(stream, state)

    def _free(self, stream: str, state: _Stream) -> None:
        if state.over and state.sender is None:
            self._streams.pop(stream, None)

    async def _send(self, stream: str, event: _Delivery) -> bool:
        """Post an event until it is delivered; return False if it is not delivered by its deadline."""
        facts = {"stream": stream, "type": event.kind, "sequence": event.sequence}
        try:
            # The deadline depends on the event's age, so that an outage delays a queue once, and not once for each
            # event in it. The sleep gives the time-out a chance to end an event that is past its deadline already.
            async with asyncio.timeout_at(event.deadline):
                await asyncio.sleep(0)
                await self._retry_until_deadline(self._attempt, event)
        except (WebhookError, TimeoutError):
            log.warning("webhook event not delivered", **facts, why=event.why or _WAITED)
            return False
        except Exception as error:  # the error's message may contain the URL; its stack does not
            event.why, stack = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            log.error("webhook event failed", **facts, why=event.why, stack=stack)
            return False
        return True

    async def _attempt(self, event: _Delivery) -> None:
        settings = self._settings
        # Between two attempts, the semaphore is released, so that the events of other streams can be posted.
        async with self._slots:
            try:
                await self._client.post(settings.url, event.kind, event.body, settings.timeout)
            except WebhookError as error:
                if error.status is not None and 200 <= error.status < 300:
                    return  # the event is delivered; only the answer's body is unusable, and it is not needed
                event.why = str(error)
                raise


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
