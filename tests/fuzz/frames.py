"""Kind `frame`: what comes on a WebSocket after a good upgrade."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import get_args

from tests.fuzz import answers, mutate, wires
from tests.fuzz.dialogue import Ending, Script, hold
from tests.fuzz.lab import Lab
from tests.server.process import upgrade_request

_PATHS = ["/echo", "/record", "/menu", "/analyse", "/silence", "/forever"]
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000, 65_535]
_GOOD_CODES = [1000, 1001, 1003, 1011, 3000, 4999]
_BAD_UTF8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82"]
_FLOOD = 700  # frames at once: more than a second's worth is let through


@dataclass(frozen=True)
class Talk:
    """A stream's encapsulation, and all that happens on its connection."""

    encapsulation: str
    script: Script


def make(rng: Random) -> Talk:
    """Frames on a path and in an encapsulation, cut into pieces anywhere."""
    encapsulation = rng.choice(sorted(answers.AUDIO_SIZES))
    query = f"?encapsulation={encapsulation}" + rng.choice(
        ("", "&framing=message", "&framing=pcm", "&rtp_payload=pcma")
    )
    data = stream(rng, encapsulation)
    ending = rng.choices(get_args(Ending), (6, 6, 1))[0]
    return Talk(
        encapsulation, Script(mutate.pieces(rng, data, 6), ending, upgrade_request(rng.choice(_PATHS) + query))
    )


async def meet(talk: Talk, lab: Lab) -> None:
    """Say it to the server, which grants the upgrade, speaks as it should, and ends the stream."""
    heard = await hold(lab.server.port, talk.script)
    first = answers.read(heard, answers.AUDIO_SIZES[talk.encapsulation])[:1]
    assert [answer.status for answer in first] == [101], f"no stream: {heard[:300]!r}"


def frame(
    opcode: int,
    payload: bytes = b"",
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = b"\1\2\3\4",
    wide: int = 0,
) -> bytes:
    """A frame as it is asked for; `wide` gives the length more bytes than it needs (2 or 8)."""
    size = len(payload)
    wide = max(wide, 0 if size < 126 else 2 if size < 1 << 16 else 8)
    length = {
        0: lambda: bytes((size,)),
        2: lambda: struct.pack(">BH", 126, size),
        8: lambda: struct.pack(">BQ", 127, size),
    }
    header = bytearray((fin << 7 | rsv << 4 | opcode,)) + length[wide]()
    if key is None:
        return bytes(header) + payload
    header[1] |= 0x80
    pad = (key * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
    return bytes(header) + key + masked


def stream(rng: Random, encapsulation: str = "audiosocket") -> bytes:
    """A run of frames, good ones and others; often a close."""
    sequence, parts = rng.getrandbits(16), []
    for _ in range(int(1 + 12 * rng.random() ** 2)):
        sequence += 1
        audio = wires.message(rng, encapsulation, sequence, hostile=0.4)
        parts.append(rng.choices(_WAYS, _WEIGHTS)[0](rng, audio))
    parts += [_close(rng, b"")] * rng.randrange(2)
    data = b"".join(parts)
    if rng.random() < 0.2:
        data = mutate.mutated(rng, data)
    return data if rng.random() < 0.9 else data[: rng.randint(0, len(data))]  # cut off in the middle of a frame


def _audio(rng: Random, payload: bytes) -> bytes:
    return frame(_BINARY, payload, key=rng.randbytes(4))


def _anything(rng: Random, payload: bytes) -> bytes:
    """Reserved bits and opcodes, no mask, a length in more bytes than it needs."""
    key = rng.choice((None, bytes(4), rng.randbytes(4)))
    return frame(rng.randrange(16), payload, rng.random() < 0.7, rng.randrange(8), key, rng.choice((0, 2, 8)))


def _text(rng: Random, payload: bytes) -> bytes:
    return frame(_TEXT, rng.choice((mutate.word(rng).encode(), payload, *_BAD_UTF8)))


def _control(rng: Random, payload: bytes) -> bytes:
    """Control frames that are too large, in fragments, or only many."""
    payload = rng.choice((b"", payload[:125], payload[:126], bytes(125), bytes(70_000)))
    one = frame(rng.choice((_PING, _PONG)), payload, rng.random() < 0.8)
    return one * rng.choice((1, 1, 3, 30))


def _fragments(rng: Random, payload: bytes) -> bytes:
    """A message in parts, with others between them, perhaps without an end or a beginning."""
    opcode, parts = rng.choice((_BINARY, _BINARY, _TEXT, _CONTINUATION)), []
    pieces = mutate.pieces(rng, payload, 8) or [b""]
    for at, piece in enumerate(pieces):
        last = at == len(pieces) - 1 and rng.random() < 0.9
        parts.append(frame(_CONTINUATION if at else opcode, piece, last))
        if rng.random() < 0.3:
            parts.append(frame(rng.choice((_PING, _PONG, _BINARY, _CONTINUATION, _TEXT)), b"between"))
    return b"".join(parts)


def _close(rng: Random, payload: bytes) -> bytes:
    code = rng.choice(_BAD_CODES if rng.random() < 0.4 else _GOOD_CODES)
    reason = rng.choice((b"", b"bye", payload[:123], bytes(124), *_BAD_UTF8))
    return frame(_CLOSE, rng.choice((b"", b"\x03", struct.pack(">H", code) + reason, struct.pack(">H", code))))


def _lying_length(rng: Random, payload: bytes) -> bytes:
    size = rng.choice(mutate.EXTREMES)
    header = rng.choice((struct.pack(">BBQ", 0x82, 0xFF, size), struct.pack(">BBH", 0x82, 0xFE, size & 0xFFFF)))
    return header + rng.randbytes(4) + payload


def _large(rng: Random, payload: bytes) -> bytes:
    return frame(_BINARY, bytes(rng.choice((65_534, 65_535, 65_536, 65_537, 150_000))))


def _flood(rng: Random, payload: bytes) -> bytes:
    one = frame(rng.choice((_PING, _PONG, _BINARY, _TEXT, _CONTINUATION)), payload[:20], rng.random() < 0.7)
    return one * rng.choice((40, _FLOOD))


def _noise(rng: Random, _: bytes) -> bytes:
    return mutate.noise(rng, 4000)


_WAYS: list[Callable[[Random, bytes], bytes]] = [
    *(_audio, _anything, _text, _control, _fragments, _close, _lying_length, _large, _flood, _noise)
]
_WEIGHTS = [70, 10, 6, 10, 10, 4, 3, 2, 2, 3]
