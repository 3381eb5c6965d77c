"""Requests that are sent twice with one key: acted upon once, and answered alike."""

import asyncio
import itertools

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.admin.idempotency import HEADER, KEPT_SECONDS, MOST_KEPT, IdempotentAnswers


class Requests:
    """A handler that counts, and requests to it."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.now = 0.0
        self.answers = IdempotentAnswers(lambda: self.now, most)
        self.acted = 0
        self.error: Exception | None = None
        self.going = asyncio.Event()
        self.going.set()

    async def handler(self, request: web.Request) -> web.Response:
        self.acted += 1
        number = self.acted
        await self.going.wait()
        if self.error is not None:
            raise self.error
        return web.json_response({"id": number}, status=202, headers={"Location": f"/v1/streams/{number}"})

    async def send(
        self, key: str = "k", body: bytes = b"{}", by: str = "agent", path: str = "/v1/attach"
    ) -> web.Response:
        request = make_mocked_request("POST", path, {HEADER: key} if key else {})
        request._read_bytes = body
        response = await self.answers.handle(request, by, self.handler)
        assert isinstance(response, web.Response)
        return response


async def test_the_second_request_gets_the_first_one_s_answer() -> None:
    requests = Requests()
    first, second = await requests.send(), await requests.send()
    assert requests.acted == 1
    assert (second.status, second.text, second.headers["Location"]) == (202, first.text, "/v1/streams/1")
    assert second.content_type == "application/json"


async def test_a_second_one_that_comes_meanwhile_waits_for_it() -> None:
    requests = Requests()
    requests.going.clear()
    both = [asyncio.create_task(requests.send()) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    requests.going.set()
    assert [response.text for response in await asyncio.gather(*both)] == ['{"id": 1}'] * 2
    assert requests.acted == 1


async def test_keys_are_of_one_token_and_one_path() -> None:
    requests = Requests()
    for key, by, path in itertools.product(("k", "l"), ("agent", "admin"), ("/v1/attach", "/v1/streams/1/play")):
        await requests.send(key, by=by, path=path)
    assert requests.acted == 8
    for _ in range(2):
        await requests.send("")
    assert requests.acted == 10


async def test_an_error_is_not_kept() -> None:
    requests = Requests()
    requests.error = RefusedError(RefusalReason.NO_CALLS, "draining")
    with pytest.raises(RefusedError):
        await requests.send()
    requests.error = None
    assert (await requests.send()).text == '{"id": 2}'


async def test_a_key_for_another_body_or_of_any_length_is_refused() -> None:
    requests = Requests()
    await requests.send()
    for key, body in (("k", b'{"x": 1}'), ("k" * 201, b"{}")):
        with pytest.raises(RefusedError) as refused:
            await requests.send(key, body)
        assert refused.value.status == 422


async def test_answers_are_forgotten_after_ten_minutes_and_the_oldest_of_too_many() -> None:
    requests = Requests(most=10)
    await requests.send("a")
    requests.now = KEPT_SECONDS - 1
    await requests.send("a")
    assert requests.acted == 1
    requests.now = KEPT_SECONDS
    await requests.send("a")
    assert requests.acted == 2
    for number in range(9):
        await requests.send(str(number))
    await requests.send("a")
    assert requests.acted == 2 + 9
    await requests.send("one more than are kept")
    await requests.send("a")
    assert requests.acted == 2 + 9 + 2


async def test_one_in_progress_is_never_forgotten() -> None:
    requests = Requests()
    requests.going.clear()
    first = asyncio.create_task(requests.send())
    await asyncio.sleep(0)
    requests.now = 2 * KEPT_SECONDS
    second = asyncio.create_task(requests.send())
    await asyncio.sleep(0)
    requests.error = RefusedError(RefusalReason.NO_CALLS, "draining")
    requests.going.set()
    for request in (first, second):
        with pytest.raises(RefusedError):
            await request
    assert requests.acted == 1


async def test_one_in_progress_keeps_no_others_from_being_forgotten() -> None:
    requests = Requests(most=3)
    requests.going.clear()
    first = asyncio.create_task(requests.send("in progress"))
    await asyncio.sleep(0)
    going, requests.going = requests.going, asyncio.Event()
    requests.going.set()
    for key in "abcab":  # a and b are forgotten for c, and c for b
        await requests.send(key)
    assert requests.acted == 1 + 5
    requests.now = KEPT_SECONDS
    await requests.send("b")
    assert requests.acted == 1 + 6
    going.set()
    await first
