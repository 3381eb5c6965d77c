"""Who gets a stream of the twin, by a client that is not ours."""

from typing import Any

import aiohttp
import pytest

from tests.twin import Twin
from tests.twin.client import CALL, status


async def test_it_refuses_as_the_platform_does(twin: Twin) -> None:
    twin.call(CALL)
    ringing = twin.call("2", answered=False)
    twin.forbid("helper")
    assert await status(twin) == 101
    assert await status(twin, token="wrong") == 401
    assert await status(twin, token="helper") == 403
    assert await status(twin, id_="unknown") == 404
    assert await status(twin, what="conferences") == 404
    assert await status(twin, id_="2") == 404
    assert await status(twin, encapsulation="g722") == 400
    ringing.answer()
    assert await status(twin, id_="2") == 101
    assert [asked.status for asked in twin.requests] == [101, 401, 403, 404, 404, 404, 400, 101]
    assert twin.requests[0].path == f"/v1.0/calls/{CALL}/media_stream"
    assert twin.requests[6].encapsulation == "g722"


async def test_a_plain_request_is_no_stream(twin: Twin) -> None:
    twin.call(CALL)
    url = f"{twin.api}/calls/{CALL}/media_stream?encapsulation=sln"
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{url}&token=secret") as response:
            assert response.status == 400
        async with client.get(url) as response:
            assert response.status == 401


async def get(twin: Twin, query: str, **headers: str) -> tuple[int, str | None]:
    """The status of a request that is no upgrade, and when to come again. 400: nothing else is wrong with it."""
    url = f"{twin.api}/calls/{CALL}/media_stream?encapsulation=sln&{query}"
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, response.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("token=secret", {}, 400),
        ("accesskey=key", {}, 400),
        ("", {"Authorization": "Bearer secret"}, 400),
        ("token=key", {}, 401),  # an access key is no token
        ("accesskey=secret", {}, 401),
        ("", {"Authorization": "Bearer key"}, 401),
        ("", {"Authorization": "Basic secret"}, 401),
        ("token=", {}, 401),
    ],
)
async def test_tokens_and_access_keys(twin: Twin, query: str, headers: dict[str, str], status: int) -> None:
    twin.call(CALL)
    assert await get(twin, query, **headers) == (status, None)
    assert twin.requests[-1].credential == ("accesskey" if "accesskey" in query else "token")


async def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    async with Twin(rate_limit=3) as twin:
        twin.call(CALL)
        statuses = [await get(twin, "accesskey=key") for _ in range(20)]
        assert await get(twin, "token=another") == (401, None)
    assert statuses[:3] == [(400, None)] * 3
    assert (429, "1") in statuses
    times = [asked.at for asked in twin.requests if asked.status == 400]
    assert all(fourth - first > 0.9 for first, fourth in zip(times, times[3:], strict=False))


@pytest.mark.parametrize(("after_end", "expected"), [("refuse", 404), ("silent", 101)])
async def test_a_call_that_is_over(twin: Twin, after_end: str, expected: int) -> None:
    call = twin.call(CALL, after_end=after_end)
    call.hang_up()
    assert await status(twin) == expected
    ringing = twin.call("2", answered=False, after_end=after_end)
    assert await status(twin, id_=ringing.id) == 404


async def test_options_that_do_not_exist_are_errors(twin: Twin) -> None:
    impossible: list[dict[str, Any]] = [{"codec": "g722"}, {"after_end": "busy"}, {"buffer": "mixer"}]
    for options in impossible:
        with pytest.raises(ValueError, match=next(iter(options))):
            twin.call(**options)


async def test_it_never_agrees_to_compress(twin: Twin) -> None:
    twin.call(CALL)
    async with aiohttp.ClientSession() as client:
        url = f"{twin.api}/calls/{CALL}/media_stream?encapsulation=sln&token=secret"
        async with client.ws_connect(url, compress=15) as websocket:
            assert websocket.compress == 0
