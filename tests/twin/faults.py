"""What can be wrong with a call's media streams, by a script that repeats exactly."""

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto


class Fate(Enum):
    """What becomes of an RTP packet."""

    THROUGH = auto()
    LOST = auto()
    TWICE = auto()
    LATE = auto()  # behind the next one that gets through


Fates = Callable[[int], Fate]  # of the stream's n-th packet, from 0


def seeded_fates(seed: int, loss: float = 0.0, reorder: float = 0.0, duplicate: float = 0.0) -> Fates:
    """Fates by probability."""
    dice = random.Random(seed)
    fates = (Fate.LOST, Fate.LATE, Fate.TWICE, Fate.THROUGH)
    weights = (loss, reorder, duplicate, 1 - loss - reorder - duplicate)
    return lambda _: dice.choices(fates, weights)[0]


@dataclass
class Faults:
    """A call's faults. All may be set before a stream or in its midst."""

    refuse: list[int] = field(default_factory=list)  # statuses of the next upgrades, used up
    drop_upgrades: int = 0  # so many of the next upgrades are accepted and dropped at once, used up
    cut_after: int | None = None  # frames heard from the client, after which the connection is aborted
    cut_within: float | None = None  # seconds, inside which every stream is aborted at a random moment
    seed: int = 0  # of those moments
    mute: bool = False  # never sends anything
    stall: bool = False  # never reads; set at the start of a stream
    close_code: int | None = None  # at the call's end; None (read): TCP ends without a close frame
    vanish_after_end: bool = False  # at the call's end frames stop, the connection stays (seen of externalMedia)
    strange: Sequence[bytes | str] = ()  # sent in turn, one before every `strange_every`-th frame
    strange_every: int = 1
    fates: Fates | None = None  # rtp only


class Road:
    """The way of one stream's RTP packets to the client, and what was lost on it, by sequence number."""

    def __init__(self) -> None:
        self.lost: list[int] = []
        self.late: list[int] = []
        self.doubled: list[int] = []
        self._count = 0
        self._waiting: list[bytes] = []

    def take(self, packet: bytes, sequence: int, fates: Fates | None) -> list[bytes]:
        """The packets that arrive where this one is sent."""
        fate = fates(self._count) if fates else Fate.THROUGH
        self._count += 1
        if fate is Fate.LOST:
            self.lost.append(sequence)
            return []
        if fate is Fate.LATE:
            self.late.append(sequence)
            self._waiting.append(packet)
            return []
        if fate is Fate.TWICE:
            self.doubled.append(sequence)
        arriving = [packet] * (2 if fate is Fate.TWICE else 1) + self._waiting
        self._waiting = []
        return arriving


def oddities(encapsulation: str) -> dict[str, bytes | str]:
    """Messages that no well-behaved platform sends, by what is odd about them."""
    common: dict[str, bytes | str] = {
        "text": '{"type":"hello"}',
        "empty": b"",
        "one byte": b"\x10",
        "garbage": bytes(random.Random(1).choices(range(256), k=77)),
    }
    packet = struct.pack(">BBHII", 0x80, 96, 1, 160, 0) + b"\xff" * 160
    match encapsulation:
        case "audiosocket":
            return common | {
                "header alone": b"\x10\x01\x40",
                "half a message": b"\x10\x01\x40" + bytes(160),
                "odd size": b"\x10\x01\x41" + bytes(321),
                "audio of length 0": b"\x10\x00\x00",
                "unknown kind": b"\x42\x00\x01\x00",
                "raw PCM": bytes(range(1, 161)) * 2,
            }
        case "sln":
            return common | {"odd size": bytes(321), "far too long": bytes(100_000)}
        case "rtp":
            return common | {
                "version 0": b"\x00" + packet[1:],
                "version 1": b"\x40" + packet[1:],
                "header alone": packet[:12],
                "half a header": packet[:6],
                "odd size": packet + bytes(161),
                "unknown payload type": packet[:1] + b"\x62" + packet[2:],
                "padding over the whole packet": b"\xa0" + packet[1:-1] + b"\xff",
                "contributing sources that are not there": b"\x8f" + packet[1:20],
            }
    raise ValueError(encapsulation)
