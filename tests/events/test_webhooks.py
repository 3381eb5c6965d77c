"""Webhooks against a real backend on localhost: one that works, one that fails, and several that make no sense."""

import asyncio
import contextlib
import hashlib
import hmac
import inspect
import json
import re
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
import stamina.instrumentation
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from mediaserver import __version__
from mediaserver.call import Stream
from mediaserver.errors import MediaServerError
from mediaserver.events import WebhookError, Webhooks, WebhookSettings, signature
from mediaserver.events.envelope import Event
from mediaserver.events.hub import EventHub
from mediaserver.runtime.webhook_event_sink import WebhookEventSink
from mediaserver.support.metrics import Metrics
from tests.timing import PATIENCE, UNIT, eventually, late

QUICK = 0.002  # seconds of backoff, where it is not what is tested
NEVER = 1000.0  # the same for a retry that is not to come
OK = 200
KEY = "schlüssel"


@dataclass
class Got:
    """One request as the backend saw it."""

    headers: Mapping[str, str]
    body: bytes
    path: str

    @property
    def event(self) -> dict[str, Any]:
        event = json.loads(self.body)
        assert isinstance(event, dict)
        return event


@dataclass
class Backend:
    """Keeps what it gets, and answers what it is told to: a status, or whatever `answer` makes of a request."""

    answer: Callable[[Got], int | Awaitable[web.StreamResponse | int]] = lambda got: OK
    got: list[Got] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)  # ends those that hang
    now: int = 0
    peak: int = 0
    server: TestServer | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            got = Got(request.headers, await request.read(), request.path_qs)
            self.got.append(got)
            given = self.answer(got)
            answer = await given if inspect.isawaitable(given) else given
        finally:
            self.now -= 1
        return answer if isinstance(answer, web.StreamResponse) else web.Response(status=answer)

    async def hang(self, got: Got) -> int:
        await self.over.wait()
        return OK

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self.server = TestServer(app, host="127.0.0.1", port=port)
        await self.server.start_server()

    def url(self, path: str = "/events") -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.port}{path}"

    def sequences(self, stream: str = "s") -> list[int]:
        return [got.event["sequence"] for got in self.got if got.event["stream"] == stream]


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    backend = Backend()
    await backend.start()
    yield backend
    backend.over.set()
    assert backend.server is not None
    await backend.server.close()


@pytest.fixture
def retries() -> Iterator[list[stamina.instrumentation.RetryDetails]]:
    """Every retry that is scheduled, as it is."""
    before = stamina.instrumentation.get_on_retry_hooks()
    scheduled: list[stamina.instrumentation.RetryDetails] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: scheduled.append(details)])
    yield scheduled
    stamina.instrumentation.set_on_retry_hooks(before)


@pytest.fixture(autouse=True)
def logs(retries: object) -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@contextlib.asynccontextmanager
async def webhooks(url: str, backoff: float = QUICK, **settings: Any) -> AsyncIterator[Webhooks]:
    settings.setdefault("timeout", PATIENCE)
    hooks = Webhooks(WebhookSettings(url=url, **settings), backoff=backoff)
    try:
        yield hooks
    finally:
        await hooks.close(0)


def results(sent: int = 0, failed: int = 0, dropped: int = 0) -> dict[str, int]:
    return {"sent": sent, "failed": failed, "dropped": dropped}


async def settled(hooks: Webhooks) -> dict[str, int]:
    await eventually(lambda: not hooks.waiting)
    return hooks.results


# Events


async def test_an_event_arrives_in_its_envelope(backend: Backend) -> None:
    data = {"reason": "peer hung up", "frames": [1, 2]}
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("4f2a", "stream.ended", MappingProxyType(data)))
        data["frames"] = "changed since"
        hooks.emit(Event("4f2a", "stream.ended", {}))
        assert await settled(hooks) == results(sent=2)
    first, second = backend.got
    event = first.event
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("time"))
    assert event.pop("id") != second.event["id"]
    assert event == {
        "type": "stream.ended",
        "stream": "4f2a",
        "sequence": 1,
        "data": {"reason": "peer hung up", "frames": [1, 2]},
    }
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["User-Agent"] == f"mediaserver/{__version__}"
    assert first.headers["X-Mediaserver-Event"] == "stream.ended"
    assert abs(int(first.headers["X-Mediaserver-Timestamp"]) - time.time()) < 10 * UNIT
    assert "X-Mediaserver-Signature" not in first.headers


async def test_a_webhook_and_a_websocket_tell_the_same_event(backend: Backend) -> None:
    hub, metrics = EventHub(), Metrics()
    subscription, _ = hub.subscribe()
    async with webhooks(backend.url(), events=frozenset({"digits"})) as hooks:
        sink = WebhookEventSink(hooks, hub, metrics)
        sink.emit(Stream("4f2a", "/menu", "192.0.2.1:5060", call="c-7"), "menu.entered", {"menu": "main"})
        sink.emit(Stream("4f2a", "/menu", "192.0.2.1:5060", call="c-7"), "digits", {"digits": "1"})
        assert await settled(hooks) == results(sent=1)
    hub.close()
    _, told = [json.loads(event.json) async for event in subscription]
    (got,) = backend.got
    assert told == got.event | {"sequence": 2}
    assert got.event["sequence"] == 1
    assert got.event["data"] == {"path": "/menu", "resource": "calls/c-7", "variables": {}, "digits": "1"}


async def test_a_receiver_verifies_the_signature_by_hmac_alone(backend: Backend) -> None:
    async with webhooks(backend.url(), secret=KEY) as hooks:
        hooks.emit(Event("s", "dtmf", {"digit": "5"}))
        await settled(hooks)
    (got,) = backend.got
    timestamp = got.headers["X-Mediaserver-Timestamp"]
    digest = hmac.new("schlüssel".encode(), timestamp.encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Mediaserver-Signature"] == f"sha256={digest}" == signature(KEY, timestamp, got.body)
    assert (
        signature("k", "1700000000", b"{}")
        == ("sha256=" + hmac.digest(b"k", b"1700000000.{}", "sha256").hex())
        != signature("k", "1700000001", b"{}")
    )


async def test_emitting_is_no_io(backend: Backend) -> None:
    async with webhooks(backend.url()) as hooks:
        assert not inspect.iscoroutinefunction(hooks.emit)
        for _ in range(100):
            hooks.emit(Event("s", "dtmf", {}))  # awaits nothing, so nothing else has run in between
        assert hooks.waiting == 100
        assert hooks.results == results()
        assert backend.got == []
        assert await settled(hooks) == results(sent=100)


async def test_events_of_a_stream_keep_their_order_while_each_fails_at_first(backend: Backend) -> None:
    tries: Counter[str] = Counter()

    def answer(got: Got) -> int:
        tries[got.event["id"]] += 1
        return OK if tries[got.event["id"]] == 3 else 503

    backend.answer = answer
    async with webhooks(backend.url()) as hooks:
        for _ in range(4):
            hooks.emit(Event("s", "dtmf", {}))
            hooks.emit(Event("other", "dtmf", {}))
        assert await settled(hooks) == results(sent=8)
    for stream in ("s", "other"):
        assert backend.sequences(stream) == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert len(tries) == 8  # a retry has the id of the first try
    assert len({got.body for got in backend.got}) == 8


async def test_streams_that_are_tried_again_do_not_hold_up_others(backend: Backend, retries: list[Any]) -> None:
    backend.answer = lambda got: OK if got.event["stream"] == "s" else 503
    async with webhooks(backend.url(), backoff=NEVER, give_up=NEVER) as hooks:
        for number in range(40):
            hooks.emit(Event(f"stuck {number}", "dtmf", {}))
            hooks.emit(Event(f"stuck {number}", "dtmf", {}))
        await eventually(lambda: len(retries) == 40)
        for _ in range(10):
            hooks.emit(Event("s", "dtmf", {}))
        await eventually(lambda: hooks.results["sent"] == 10)
        assert hooks.waiting == 80
    assert backend.sequences() == list(range(1, 11))


async def test_one_stream_that_hangs_does_not_hold_up_the_others(backend: Backend) -> None:
    async def answer(got: Got) -> int:
        return await backend.hang(got) if got.event["stream"] == "stuck" else OK

    backend.answer = answer
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("stuck", "dtmf", {}))
        hooks.emit(Event("stuck", "dtmf", {}))
        for _ in range(10):
            hooks.emit(Event("s", "dtmf", {}))
        await eventually(lambda: hooks.results["sent"] == 10)
        assert backend.sequences("stuck") == [1]


async def test_no_more_than_16_requests_are_on_their_way(backend: Backend) -> None:
    backend.answer = backend.hang
    async with webhooks(backend.url()) as hooks:
        for number in range(40):
            hooks.emit(Event(str(number), "dtmf", {}))
        await eventually(lambda: backend.now == 16)
        backend.over.set()
        assert await settled(hooks) == results(sent=40)
    assert backend.peak == 16


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_a_status_that_may_pass_is_tried_again(backend: Backend, status: int) -> None:
    backend.answer = lambda got: OK if len(backend.got) == 2 else status
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=1)
    assert len(backend.got) == 2


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 410, 422])
async def test_any_other_status_is_final(backend: Backend, status: int, logs: list[Any]) -> None:
    backend.answer = lambda got: OK if got.event["sequence"] == 2 else status
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=1, failed=1)
    assert backend.sequences() == [1, 2]
    (line,) = logs
    host = backend.url("").removeprefix("http://")
    assert line.pop("why").startswith(f"{host}: HTTP status {status}")
    assert line == {
        "event": "webhook event not delivered",
        "log_level": "warning",
        "stream": "s",
        "type": "dtmf",
        "sequence": 1,
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(backend: Backend, status: int, logs: list[Any]) -> None:
    async def answer(got: Got) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere?token=s3cret"})

    backend.answer = answer
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(failed=1)
    assert [got.path for got in backend.got] == ["/events"]
    assert logs[0]["why"].endswith(f"HTTP status {status}: redirects are not followed")


@pytest.mark.parametrize("body", [b"", b"thanks", b"x" * 1_000_000])
@pytest.mark.parametrize("status", [200, 201, 202, 299])
async def test_2xx_is_delivered_whatever_comes_with_it(backend: Backend, status: int, body: bytes) -> None:
    async def answer(got: Got) -> web.Response:
        return web.Response(status=status, body=body)

    backend.answer = answer
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=2)


async def test_a_backend_that_is_down_gets_everything_when_it_is_up(
    backend: Backend, retries: list[Any], logs: list[Any]
) -> None:
    port = unused_port()
    late = Backend()
    async with webhooks(f"http://127.0.0.1:{port}/") as hooks:
        for _ in range(3):
            hooks.emit(Event("s", "dtmf", {}))
        await eventually(lambda: len(retries) >= 2)
        await late.start(port)
        assert await settled(hooks) == results(sent=3)
    assert late.sequences() == [1, 2, 3]
    assert logs == []
    assert late.server is not None
    await late.server.close()


async def test_a_backend_too_slow_is_tried_again(backend: Backend, retries: list[Any]) -> None:
    async def answer(got: Got) -> int:
        return await backend.hang(got) if len(backend.got) == 1 else OK

    backend.answer = answer
    async with webhooks(backend.url(), timeout=0.5 * UNIT) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=1)
    assert backend.sequences() == [1, 1]
    assert str(retries[0].caused_by).endswith(f"no answer within {0.5 * UNIT:g} s")


async def test_an_event_is_given_up_by_its_age(logs: list[Any]) -> None:
    async with webhooks(f"http://127.0.0.1:{unused_port()}/", give_up=0.3 * UNIT) as hooks:
        begun = time.monotonic()
        for _ in range(20):
            hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(failed=20)
    assert 0.3 * UNIT <= time.monotonic() - begun < 3 * UNIT + late()  # not twenty times over
    assert [line["sequence"] for line in logs] == list(range(1, 21))
    assert "cannot connect: Connection refused" in logs[0]["why"]
    assert logs[-1]["why"] == "it waited too long behind others"


async def test_each_event_that_is_given_up_is_told_of_with_the_reason_of_the_latest_attempt() -> None:
    told: list[tuple[str, str]] = []
    settings = WebhookSettings(url=f"http://127.0.0.1:{unused_port()}/", give_up=0.3 * UNIT)
    hooks = Webhooks(settings, backoff=QUICK, on_failed=lambda stream, why: told.append((stream, why)))
    for stream in ("one", "one", "one", "other"):
        hooks.emit(Event(stream, "dtmf", {}))
    await settled(hooks)
    await hooks.close(0)
    assert sorted(stream for stream, _ in told) == ["one", "one", "one", "other"]
    assert all("cannot connect: Connection refused" in why for _, why in told)  # also of those behind the first


async def test_an_event_too_old_is_not_sent(backend: Backend) -> None:
    backend.answer = lambda got: 503  # which leaves a connection ready for the next
    async with webhooks(backend.url(), backoff=NEVER, give_up=UNIT) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        hooks.emit(Event("s", "dtmf", {}))
        # The process stalls until both are too old, however long it took to emit the second one after the first.
        asyncio.get_running_loop().call_later(0.3 * UNIT, time.sleep, 0.8 * UNIT)
        assert await settled(hooks) == results(failed=2)
        hooks.emit(Event("s", "dtmf", {}))
        await eventually(lambda: 3 in backend.sequences())
    assert backend.sequences() == [1, 3]


async def test_too_many_are_dropped_and_two_lines_say_so(backend: Backend, logs: list[Any]) -> None:
    turns = asyncio.Semaphore(0)

    async def answer(got: Got) -> int:
        await turns.acquire()
        return OK

    backend.answer = answer
    async with webhooks(backend.url(), queue=4) as hooks:
        for _ in range(10):
            hooks.emit(Event("s", "dtmf", {}))
        assert (hooks.waiting, hooks.results) == (4, results(dropped=6))
        turns.release()
        await eventually(lambda: hooks.waiting == 3)
        hooks.emit(Event("s", "dtmf", {}))  # there is place for it
        hooks.emit(Event("s", "dtmf", {}))  # and for this none again, which is no news
        assert (hooks.waiting, hooks.results) == (4, results(sent=1, dropped=7))
        for _ in range(5):
            turns.release()
        await settled(hooks)
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=6, dropped=7)
    assert [line["event"] for line in logs] == [
        "webhook queue full",
        "webhook queue recovered",
    ]
    assert backend.sequences() == [1, 2, 3, 4, 11, 13]  # the gaps show a receiver what it missed


class Wicked(Mapping[str, Any]):
    """A mapping that breaks when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("broken")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("broken")

    def __len__(self) -> int:
        return 1


CIRCLE: dict[str, Any] = {}
CIRCLE["circle"] = CIRCLE


@pytest.mark.parametrize("data", [{"a": object()}, {"a": float("nan")}, CIRCLE, {(1, 2): 3}, Wicked(), None])
async def test_a_payload_that_is_not_json_is_logged_as_our_bug(
    backend: Backend, data: Any, logs: list[Any]
) -> None:
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "dtmf", data))
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=1, failed=1)
    assert backend.sequences() == [2]
    (line,) = logs
    assert (line["event"], line["stream"], line["type"]) == ("webhook event not serializable", "s", "dtmf")
    assert line["log_level"] == "error"
    assert line["exc_info"]


async def test_a_kind_that_no_header_can_hold_costs_that_event_alone(backend: Backend, logs: list[Any]) -> None:
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "two\r\nlines", {}))
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=1, failed=1)
    assert (logs[0]["event"], logs[0]["why"]) == ("webhook event failed", "ValueError")


async def test_only_subscribed_kinds_are_sent(backend: Backend) -> None:
    async with webhooks(backend.url(), events=frozenset({"dtmf"})) as hooks:
        hooks.emit(Event("s", "stream.started", {}))
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=1)
    assert backend.sequences() == [1]  # what is not wanted leaves no gap


async def test_without_a_url_events_go_nowhere() -> None:
    async with webhooks("") as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        assert (hooks.waiting, hooks.results) == (0, results())


async def test_sequences_go_on_until_a_stream_has_ended(backend: Backend) -> None:
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        await settled(hooks)
        hooks.emit(Event("s", "dtmf", {}))
        hooks.emit(Event("s", "dtmf", {}))
        hooks.end_stream("s")  # while two wait: they are sent first
        hooks.emit(Event("s", "late", {}))  # should not be, but comes in its place
        await settled(hooks)
        hooks.emit(Event("s", "dtmf", {}))
        await settled(hooks)
        hooks.end_stream("s")
        hooks.end_stream("unknown")
        hooks.emit(Event("s", "dtmf", {}))
        await settled(hooks)
    assert backend.sequences() == [1, 2, 3, 4, 1, 1]


async def test_proxies_of_the_environment_are_not_used(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    async with webhooks(backend.url()) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(sent=1)


# The end


async def test_closing_delivers_what_waits(backend: Backend, logs: list[Any]) -> None:
    async with webhooks(backend.url()) as hooks:
        for _ in range(20):
            hooks.emit(Event("s", "dtmf", {}))
        await hooks.close(PATIENCE)  # before anything could be sent
        assert hooks.results == results(sent=20)
        await hooks.close()
    assert logs == []


@pytest.mark.parametrize("backoff", [QUICK, NEVER])
async def test_closing_takes_no_longer_than_it_may(backend: Backend, backoff: float, logs: list[Any]) -> None:
    async def answer(got: Got) -> int:
        return await backend.hang(got) if got.event["stream"] == "hangs" else 503

    backend.answer = answer
    async with webhooks(backend.url(), backoff=backoff) as hooks:
        for _ in range(3):
            hooks.emit(Event("hangs", "dtmf", {}))
            hooks.emit(Event("fails", "dtmf", {}))
        await eventually(lambda: len(backend.got) >= 2)
        async with asyncio.timeout(PATIENCE):
            await hooks.close(0.1 * UNIT)
        assert hooks.results == results(dropped=6)
        assert hooks.waiting == 0
        hooks.emit(Event("late", "dtmf", {}))
        assert hooks.results == results(dropped=7)
        with pytest.raises(WebhookError, match="shutting down"):
            await hooks.ask(backend.url(), {})
    assert logs == [{"event": "webhook events dropped on shutdown", "log_level": "warning", "events": 6}]


# Questions


@pytest.mark.parametrize("value", [{"say": "hello"}, [1, 2.5], "text", None, False])
@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
async def test_a_question_is_answered_by_any_json(backend: Backend, value: Any, content_type: str) -> None:
    async def answer(got: Got) -> web.Response:
        return web.Response(text=json.dumps(value), content_type=content_type)

    backend.answer = answer
    async with webhooks("", secret=KEY) as hooks:
        assert await hooks.ask(backend.url("/ivr"), {"digits": "12"}) == value
    (got,) = backend.got
    timestamp = got.headers["X-Mediaserver-Timestamp"]
    assert got.event == {"digits": "12"}
    assert got.headers["X-Mediaserver-Event"] == "question"
    assert got.headers["X-Mediaserver-Signature"] == signature(KEY, timestamp, got.body)
    assert hooks.results == results()  # questions are not events


NONSENSE = {
    "nothing": (b"", "not JSON"),
    "a page": (b"<html>", "not JSON"),
    "half": (b'{"say": ', "not JSON"),
    "two": (b"{}{}", "not JSON"),
    "no UTF-8": (b'"\xff"', "not JSON"),
    "no number": (b'{"seconds": NaN}', "not JSON"),
    "a number too long": (b"1" * 60_000, "not JSON"),
    "too deep": (b"[" * 60_000, "not JSON"),
    "huge": (b'"' + b"x" * 64 * 1024 + b'"', "longer than 64 KB"),
}


@pytest.mark.parametrize("case", NONSENSE)
async def test_an_unusable_answer_is_an_error(backend: Backend, case: str) -> None:
    body, why = NONSENSE[case]

    async def answer(got: Got) -> web.Response:
        return web.Response(body=body)

    backend.answer = answer
    async with webhooks("") as hooks:
        with pytest.raises(WebhookError, match=why) as caught:
            await hooks.ask(backend.url(), {})
    assert isinstance(caught.value, MediaServerError)
    assert "\n" not in str(caught.value)
    assert len(backend.got) == 1


async def test_the_longest_answer_there_may_be(backend: Backend) -> None:
    async def answer(got: Got) -> web.Response:
        return web.Response(body=b'"' + b"x" * (64 * 1024 - 2) + b'"')

    backend.answer = answer
    async with webhooks("") as hooks:
        assert len(await hooks.ask(backend.url(), {})) == 64 * 1024 - 2


@pytest.mark.parametrize("status", [302, 404, 429, 500, 503])
async def test_a_status_is_final_to_a_question(backend: Backend, status: int) -> None:
    backend.answer = lambda got: status
    async with webhooks("") as hooks:
        with pytest.raises(WebhookError, match=f"HTTP status {status}") as caught:
            await hooks.ask(backend.url(), {})
    assert caught.value.status == status
    assert len(backend.got) == 1


async def test_a_question_that_hangs_ends_in_its_own_time(backend: Backend) -> None:
    backend.answer = backend.hang
    async with webhooks("", timeout=NEVER) as hooks:
        with pytest.raises(WebhookError, match=f"no answer within {0.3 * UNIT:g} s"):
            await hooks.ask(backend.url(), {}, timeout=0.3 * UNIT)
        assert len(backend.got) == 1
        asking = asyncio.create_task(hooks.ask(backend.url(), {}))
        await eventually(lambda: len(backend.got) == 2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert len(backend.got) == 2


BROKEN = {
    "closes at once": (b"", "the connection broke off without an answer"),
    "is no HTTP": (b"220 mail.example ESMTP\r\n\r\n", "the answer is not HTTP"),
    "drops it amid the answer": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "broke off amid the answer"),
    "drops a chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
        "broke off amid the answer",
    ),
}


@contextlib.asynccontextmanager
async def saying(words: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The URL of a server that takes a request, says these words and closes; and the requests so far."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"{}"))
        writer.write(words)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", requests


@pytest.mark.parametrize("case", BROKEN)
async def test_a_question_is_not_asked_again_once_it_may_have_been_read(case: str) -> None:
    words, why = BROKEN[case]
    async with saying(words) as (url, requests), webhooks("") as hooks:
        with pytest.raises(WebhookError, match=why):
            await hooks.ask(url, {})
    assert len(requests) == 1


@pytest.mark.parametrize(("status", "expected"), [(200, results(sent=1)), (404, results(failed=1))])
async def test_an_event_goes_by_the_status_where_the_rest_breaks_off(
    status: int, expected: dict[str, int]
) -> None:
    words = f"HTTP/1.1 {status} So\r\nContent-Length: 9\r\n\r\n{{".encode()
    async with saying(words) as (url, requests), webhooks(url) as hooks:
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == expected
    assert len(requests) == 1


async def test_a_question_is_asked_again_where_no_connection_came_about(retries: list[Any]) -> None:
    port = unused_port()
    late = Backend()

    async def answer(got: Got) -> web.Response:
        return web.json_response({"say": "hello"})

    late.answer = answer
    async with webhooks("", backoff=2.5 * UNIT) as hooks:
        asking = asyncio.create_task(hooks.ask(f"http://127.0.0.1:{port}/", {}))
        await eventually(lambda: retries)
        await late.start(port)
        assert await asking == {"say": "hello"}
    assert late.server is not None
    await late.server.close()


async def test_a_question_is_not_sent_a_third_time(retries: list[Any]) -> None:
    async with webhooks("") as hooks:
        with pytest.raises(WebhookError, match="cannot connect: Connection refused") as caught:
            await hooks.ask(f"http://127.0.0.1:{unused_port()}/", {})
    assert caught.value.status is None
    assert len(retries) == 1


async def test_a_backend_that_speaks_no_tls(backend: Backend) -> None:
    async with webhooks("") as hooks:
        with pytest.raises(WebhookError, match=r"cannot connect by TLS: what listens there speaks no TLS$"):
            await hooks.ask(backend.url().replace("http:", "https:"), {})


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://host/", "http://", "http://[::1", "http://h:99999/", "/x"])
async def test_a_url_that_is_none_is_reported(url: str, logs: list[Any]) -> None:
    async with webhooks(url) as hooks:
        with pytest.raises(WebhookError, match="not an http:"):
            await hooks.ask(url, {})
        hooks.emit(Event("s", "dtmf", {}))
        assert await settled(hooks) == results(failed=1 if url else 0)


async def test_a_name_that_no_resolver_takes() -> None:
    async with webhooks("") as hooks:
        with pytest.raises(WebhookError):
            await hooks.ask(f"http://{'x' * 64}.example/?token=s3cret", {})


# What must not be seen


async def test_nothing_secret_is_logged_or_raised(
    backend: Backend, logs: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    stamina.instrumentation.set_on_retry_hooks(None)  # stamina's own, in case nobody turns them off
    caplog.set_level("DEBUG")
    shown = []

    async def answer(got: Got) -> web.StreamResponse | int:
        if "hang" in got.path:
            return await backend.hang(got)
        if "moved" in got.path:
            return web.Response(status=302, headers={"Location": f"/{got.path}"})
        return 503 if "fails" in got.path else 404

    backend.answer = answer
    up, down = backend.url("").removeprefix("http://"), f"127.0.0.1:{unused_port()}"
    for place in (f"{up}/hang", f"{up}/fails", f"{up}/moved", f"{up}/gone", f"{down}/", "[::1/", "host:s3cret/"):
        url = f"http://user:hunter2@{place}?token=s3cret"
        async with webhooks(url, secret=KEY, timeout=0.1 * UNIT, give_up=0.2 * UNIT, queue=2) as hooks:
            for _ in range(3):
                hooks.emit(Event("s", "dtmf", {"a": object()}))
                hooks.emit(Event("s", "dtmf", {}))
            assert await settled(hooks) == results(failed=4, dropped=2)
            with pytest.raises(WebhookError) as caught:
                await hooks.ask(url, {})
            shown += traceback.format_exception(caught.value)
        shown.append(repr(WebhookSettings(url=url, secret=KEY)))
    shown += map(repr, logs)
    shown += [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]  # the backend's
    assert any("stamina.retry_scheduled" in line for line in shown)
    assert any("HTTP status 503" in line for line in shown)
    assert all(got.headers["Authorization"].startswith("Basic ") for got in backend.got)  # to the backend alone
    assert not [line for line in shown if re.search(f"hunter2|s3cret|token=|{KEY}", line)]
