"""Kind `audiosocket`: what comes on a TCP port of AudioSocket, from its first byte on."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import get_args

from tests.fuzz import mutate
from tests.fuzz.dialogue import Ending, Script, hold
from tests.fuzz.lab import PORTS, Lab

_HANGUP = b"\x00\x00\x00"
_WIDEBAND = {0x11: 480, 0x12: 640, 0x13: 960, 0x14: 1280, 0x15: 1764, 0x16: 1920, 0x17: 3840, 0x18: 7680}
_FLOOD = 700  # messages at once: more than a second's worth is let through
_NOISY = 0.05  # of all streams, those in which bytes are changed anywhere


@dataclass(frozen=True)
class Dialled:
    """The path that a port stands for, and all that happens on a connection to it."""

    path: str
    script: Script


def make(rng: Random) -> Dialled:
    """A UUID or none, messages good and bad, cut into pieces anywhere."""
    data = _first(rng) + b"".join(_message(rng) for _ in range(int(1 + 14 * rng.random() ** 2)))
    if rng.random() < _NOISY:
        data = mutate.mutated(rng, data)
    if rng.random() < 0.1:
        data = data[: rng.randint(0, len(data))]  # cut off in the middle of a message
    ending = rng.choices(get_args(Ending), (6, 6, 1))[0]
    return Dialled(rng.choice(PORTS), Script(mutate.pieces(rng, data, 6), ending))


async def meet(dialled: Dialled, lab: Lab) -> None:
    """Say it to the server: it answers by frames and, where it was asked anything at all, says when it is over."""
    heard = await hold(lab.server.ports[dialled.path], dialled.script)
    rest = len(heard) - _end_of_frames(heard)
    if heard and dialled.script.ending != "reset" and not _is_flood(dialled.script):
        assert heard.endswith(_HANGUP), f"the end is not said: {heard[-20:]!r}"
        assert rest == len(_HANGUP), f"{rest} bytes behind the last frame: {heard[-rest:]!r}"


def _end_of_frames(heard: bytes) -> int:
    """Where the frames end, each a whole one, of 8 kHz or of the rate that was spoken to the server."""
    at = 0
    while at < len(heard) - len(_HANGUP):
        kind, size = struct.unpack_from(">BH", heard, at)
        assert size == ({0x10: 320} | _WIDEBAND).get(kind), f"no frame: {heard[at : at + 20]!r}"
        if at + 3 + size > len(heard):
            break
        at += 3 + size
    return at


def _is_flood(script: Script) -> bool:
    """Whether it may be too much to be read to its end."""
    return sum(map(len, script.pieces)) > 150_000


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BH", kind, len(payload) & 0xFFFF) + payload


def _first(rng: Random) -> bytes:
    uuid = message(0x01, rng.randbytes(16))
    others = (
        b"",
        _HANGUP,
        message(0x01, rng.randbytes(rng.choice((0, 15, 17)))),
        uuid[:9],
        b"GET / HTTP/1.1\r\n\r\n",
    )
    return uuid if rng.random() < 0.85 else rng.choice(others)


def _message(rng: Random) -> bytes:
    return rng.choices(_WAYS, _WEIGHTS)[0](rng)


def _audio(rng: Random) -> bytes:
    size = rng.choice((320, 320, 320, 160, 116, 138, 1, 2, 0))
    return message(0x10, rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size))))


def _wideband(rng: Random) -> bytes:
    kind, size = rng.choice(sorted(_WIDEBAND.items()))
    return message(kind, rng.randbytes(rng.choice((size, size, 2, 1, 0)))) * rng.choice((1, 2, 5))


def _key(rng: Random) -> bytes:
    return message(0x03, rng.choice((b"1", b"2", b"#", b"*", b"x", b"", b"12", b"\xff")))


def _another_kind(rng: Random) -> bytes:
    return message(rng.randrange(256), mutate.noise(rng))


def _hangup(rng: Random) -> bytes:
    return rng.choice((_HANGUP, message(0x00, b"x")))


def _lying_length(rng: Random) -> bytes:
    return struct.pack(">BH", 0x10, rng.choice(mutate.EXTREMES) & 0xFFFF) + rng.randbytes(rng.randrange(400))


def _large(rng: Random) -> bytes:
    return message(rng.choice((0x10, 0x18, 0xFF)), bytes(rng.choice((65_533, 65_534, 65_535))))


def _flood(rng: Random) -> bytes:
    return rng.choice((_audio, _key, _another_kind))(rng) * rng.choice((40, _FLOOD))


def _noise(rng: Random) -> bytes:
    return mutate.noise(rng, 4000)


_WAYS: list[Callable[[Random], bytes]] = [
    *(_audio, _wideband, _key, _another_kind, _hangup, _lying_length, _large, _flood, _noise)
]
_WEIGHTS = [70, 10, 12, 8, 3, 3, 2, 2, 3]
