"""Mutations of bytes: flips, cuts, repetitions, numbers that lie. And the texts that parsers trip over."""

import struct
from collections.abc import Callable, Sequence
from random import Random

MAX_BYTES = 200_000  # of one input: hostile, and yet many a second
EXTREMES = [
    *(0, 1, 2, 3, 7, 8, 15, 16, 125, 126, 127, 128, 159, 160, 161, 255, 256, 319, 320, 321, 322, 323),
    *(0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    *(2**31 - 8, 2**32 - 44, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
]
WORDS = [
    *("", " ", "\t", "\0", "a\0b", "a\nb", "a\r\nb: c", "\x1b[2J", "\x7f", "\u2028", "\u202e", "\ufeff", "\ufffd"),
    *("é", "e\u0301", "ß", "𝄞", "١٢٣", "１", "\U0010ffff", "𝄞" * 100, "a" * 300, "a" * 5000, "." * 300),
    *(
        "../../etc/passwd",
        "..",
        "/",
        "//",
        "/etc/passwd",
        "~",
        "C:\\",
        "file:///etc/passwd",
        "con",
        "-rf",
        "*",
        "[",
        "**/*",
    ),
    *(
        "{",
        "}",
        "{}",
        "{prompt}",
        "{0}",
        "{x.__class__}",
        "%s%n",
        "${HOME}",
        "$(id)",
        "`id`",
        "' or 1=1 --",
        "<script>",
    ),
    *("0", "-0", "-1", "1e400", "-1e400", "nan", "inf", "1e-400", "0x10", "1_0", "9" * 20, "9" * 400, "0.1", "+1"),
    *("true", "null", "None", "auto", "forever", "audiosocket", "rtp", "sln", "pcm", "message", "pcmu", "l16"),
]


def noise(rng: Random, most: int = 512) -> bytes:
    """Bytes without any sense, rather few than many."""
    return rng.randbytes(int(most * rng.random() ** 3))


def word(rng: Random) -> str:
    """A text that parsers trip over."""
    return rng.choice(WORDS)


def mutated(rng: Random, data: bytes, most: int = 4) -> bytes:
    """The same with up to `most` mutations."""
    for _ in range(rng.randint(1, most)):
        data = rng.choice(_WAYS)(rng, data)[:MAX_BYTES]
    return data


def pieces(rng: Random, data: bytes, most: int = 4) -> list[bytes]:
    """Cut at random places into a few pieces, all of it in order."""
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randrange(most)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end]


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + int(64 * rng.random() ** 2) + 1)


def _flip(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _behead(rng: Random, data: bytes) -> bytes:
    return data[rng.randint(0, min(16, len(data))) :]


def _cut_out(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[start:end] * rng.choice((2, 2, 3, 20, 300)) + data[end:]


def _swap(rng: Random, data: bytes) -> bytes:
    (start, end), at = _span(rng, data), rng.randint(0, len(data))
    rest = data[:start] + data[end:]
    return rest[:at] + data[start:end] + rest[at:]


def _insert(rng: Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    alien: Sequence[bytes] = (
        noise(rng, 64),
        b"\xff\xfe",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        bytes(8),
        word(rng).encode(),
    )
    return data[:at] + rng.choice(alien) + data[at:]


def _number(rng: Random, data: bytes) -> bytes:
    """An extreme integer, of any width and order, where perhaps a length stands."""
    layout = rng.choice(("B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(layout)
    at = rng.randint(0, max(0, min(len(data), rng.choice((16, 64, len(data)))) - size))
    return data[:at] + struct.pack(layout, rng.choice(EXTREMES) % (1 << 8 * size)) + data[at + size :]


_WAYS: list[Callable[[Random, bytes], bytes]] = [
    *(_flip, _truncate, _behead, _cut_out, _repeat, _swap, _insert),
    *(_number, _number),
]
