"""Bodies of requests to the admin port: which JSON is taken for what, and what is refused."""

import json

import pytest
from aiohttp.test_utils import make_mocked_request
from pydantic import BaseModel

from mediaserver.client.attach import AttachRequest
from mediaserver.errors import RefusedError
from mediaserver.server.admin.control.bodies import GainRequest, MuteRequest, RecordRequest
from mediaserver.server.admin.schemas.requests import BackgroundRequest, PlayRequest, SayRequest, parse_body


async def parsed(model: type[BaseModel], body: object) -> BaseModel:
    request = make_mocked_request("POST", "/")
    request._read_bytes = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await parse_body(request, model)


@pytest.mark.parametrize(
    ("model", "body", "why"),
    [
        (GainRequest, {"gain": True}, "body: gain: should be a number (it is true)"),
        (GainRequest, {"gain": "3"}, "body: gain: should be a number"),
        (MuteRequest, {"muted": "yes", "side": "us"}, "body: muted: should be true or false"),
        (MuteRequest, {"muted": 1, "side": "us"}, "body: muted: should be true or false (it is 1)"),
        (RecordRequest, {"stereo": "true"}, "body: stereo: should be true or false"),
        (PlayRequest, {"play": "a", "repeat": 2.0}, "body: repeat: should be a whole number"),
        (GainRequest, b'{"gain": NaN}', "body: gain: should be a finite number"),
        (GainRequest, b"", "body: gain is missing"),
        (PlayRequest, b"", "body: should have play, with at least one entry, or url"),
        (PlayRequest, {"url": ""}, "body: url: should not be empty"),
        (PlayRequest, {"play": ["a", {"url": ""}]}, "body: play[1].url: should not be empty"),
        (RecordRequest, b"null", "body: should be a table, such as { key = value }"),
    ],
)
async def test_what_is_of_another_type_or_missing_is_refused(
    model: type[BaseModel], body: object, why: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        await parsed(model, body)
    assert refused.value.status == 400
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("model", "body", "taken"),
    [
        (RecordRequest, b"", {"seconds": None, "stereo": False}),
        (RecordRequest, {"seconds": 3}, {"seconds": 3.0, "stereo": False}),
        (GainRequest, {"gain": -6}, {"gain": -6.0}),
        (BackgroundRequest, {"prompt": "a", "level": -20}, {"prompt": "a", "level": -20.0, "ducking": None}),
    ],
)
async def test_no_body_is_an_empty_one_and_a_whole_number_is_a_number(
    model: type[BaseModel], body: object, taken: dict[str, object]
) -> None:
    assert (await parsed(model, body)).model_dump() == taken


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (PlayRequest, {"play": ["beep", {"say": "You are next.", "voice": "anna", "rate": 1}]}),
        (SayRequest, {"say": "Closed", "engine": ["command"], "language": "de-AT", "rate": 1.5}),
        (AttachRequest, {"resource": "calls/1", "path": "/a", "encapsulation": "rtp", "variables": {"a": "b"}}),
    ],
)
async def test_bodies_of_many_kinds_are_taken(model: type[BaseModel], body: object) -> None:
    await parsed(model, body)
