"""Kind `attach`: what is posted to the admin port's /v1/attach."""

import json
from random import Random
from typing import Any

from tests.fuzz import answers, mutate
from tests.fuzz.configs import MARK
from tests.fuzz.dialogue import Script, hold
from tests.fuzz.lab import Lab

_RESOURCES = [
    "calls/1",
    "calls/a-b",
    "conferences/~x",
    "calls/",
    "calls",
    "calls/../x",
    "calls/1/2",
    "calls/1\n",
    "calls/1?x",
]
_PATHS = [
    "/silence",
    "/forever",
    "/echo",
    "/analyse",
    "/menu",
    "/record",
    "/play/beep",
    "/play/{x}",
    "/tone/%00",
    "/x",
    "x",
]
_PATHS += [
    f"/silence?token={MARK}",
    "/silence?repeat=2",
    "//silence",
    "//[",
    "http://here/silence",
    "/play/" + "é/" * 99,
    "",
]
_TYPES: list[Any] = [None, True, -1, 1e300, 10**30, [], {}, [[]], "x", "", "\0", {"a": {"b": []}}]
_DEEP = 30_000


def make(rng: Random) -> bytes:
    """A body: a request with this or that wrong about it, or no JSON at all."""
    dice = rng.random()
    if dice < 0.05:
        return mutate.noise(rng, 4000)
    if dice < 0.08:
        return rng.choice((b"[" * _DEEP, b'{"a":' * _DEEP, b"", b"null", b'"\\ud800"', b"1" * 5000, b"x" * 70_000))
    request: dict[str, Any] = {"resource": rng.choice(_RESOURCES), "path": _path(rng)}
    if rng.random() < 0.4:
        request["variables"] = {mutate.word(rng): mutate.word(rng) for _ in range(rng.choice((0, 1, 3, 100)))}
    if rng.random() < 0.4:
        request["encapsulation"] = rng.choice(("rtp", "sln", "audiosocket", "RTP", mutate.word(rng)))
    for _ in range(rng.choice((0, 0, 1, 2))):
        key = rng.choice([*request, "variables", mutate.word(rng)])
        request[key] = rng.choice((*_TYPES, mutate.word(rng)))
    body = json.dumps(request, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1))).encode()
    return body if rng.random() < 0.7 else mutate.mutated(rng, body.replace(MARK.encode(), b"x"))


def _path(rng: Random) -> str:
    path = rng.choice(_PATHS)
    return path if rng.random() < 0.8 else path + mutate.word(rng)


async def meet(body: bytes, lab: Lab) -> None:
    """Post it: a stream is dialled, or a line says why not."""
    fields = f"Host: {lab.server.admin}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    port = int(lab.server.admin.rpartition(":")[2])
    head = f"POST /v1/attach HTTP/1.1\r\n{fields}\r\n".encode()
    found = answers.read(await hold(port, Script([head, body], whole=True)))
    assert len(found) == 1, f"{len(found)} answers"
    assert found[0].status in (202, 400, 404, 413, 414), f"status {found[0].status}: {found[0].body!r}"
    if found[0].status in (400, 404, 414):
        answers.error_line(found[0])
