"""What is still known of a call that nobody watched: its levels, by one look a second, and when it was impaired.

A look takes what is there anyway: the 10 ms of audio that a DTMF detector holds, the level of what a recording has
just written, the next 10 ms of an application's sound, and the stream's counters. No frame costs more because of
it. A level that nothing knows is left open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediaserver.audio.level.levels import SILENCE_DB, pcm_dbfs

MOST_LEVELS = 300  # levels of each side that are kept; in longer calls a level is the loudest of several looks
MOST_IMPAIRMENTS = 100  # periods in which a call was impaired that are kept, the latest ones
_UNKNOWN = 255  # stands for an unknown level; levels are kept as dB below full scale, 100 for digital silence

# A voice at the usual level (-26 dBov) reaches some -15 dBFS in loud syllables.
_FAINT, _LOUD = -45.0, -6.0  # dBFS: a voice that never exceeds the one, or often exceeds the other, is bad
_LOUD_SHARE = 0.25
_ENOUGH = 20  # seconds that must have been looked at before a level is judged, as nobody speaks all the time
MUTED_AFTER = 30.0  # seconds of digital silence after sound, after which a line counts as muted
_GAP = 5.0  # seconds without a message, after which the peer counts as having stopped to send


class Levels:
    """The levels of both sides, the caller and us, by the second of the call."""

    __slots__ = ("_sides", "step")

    def __init__(self) -> None:
        self._sides = bytearray(), bytearray()
        self.step = 1  # seconds of the call for which each level stands

    def note(self, at: float, caller: float | None, us: float | None) -> None:
        """Note the level of each side in dBFS at a second of the call; None for an unknown level."""
        while (place := int(at) // self.step) >= MOST_LEVELS:
            self._sides = _halve(self._sides[0]), _halve(self._sides[1])
            self.step *= 2
        for side, level in zip(self._sides, (caller, us), strict=True):
            kept = _UNKNOWN if level is None else max(0, round(-level))
            if place == len(side):
                side.append(kept)
            elif place < len(side):
                side[place] = min(side[place], kept)
            else:
                side += bytes((_UNKNOWN,)) * (place - len(side)) + bytes((kept,))

    def describe(self) -> tuple[list[int | None], list[int | None]]:
        """The levels of the caller, and ours, in dBFS; None for unknown levels, -100 for digital silence."""
        caller, us = ([None if level == _UNKNOWN else -level for level in side] for side in self._sides)
        return caller, us


def _halve(levels: bytearray) -> bytearray:
    """The louder of each two levels."""
    return bytearray(map(min, levels[::2], levels[1::2] + bytes((_UNKNOWN,)) * (len(levels) % 2)))


@dataclass(slots=True)
class Loudness:
    """How loud one side was in the seconds in which that mattered."""

    seconds: int = 0
    loudest: float = SILENCE_DB
    sounding: int = 0  # seconds without digital silence
    loud: int = 0  # seconds in which the level was higher than that of any voice at its usual level

    def note(self, level: float) -> None:
        """Count a second."""
        self.seconds += 1
        if level > SILENCE_DB:
            self.sounding += 1
            self.loud += level > _LOUD
            if level > self.loudest:
                self.loudest = level

    def describe(self) -> Mapping[str, float]:
        """The figures, for JSON."""
        found = {"seconds": self.seconds, "loudest_dbfs": round(self.loudest), "loud_seconds": self.loud}
        return found | {"faint": self.is_faint, "loud": self.is_loud}

    @property
    def is_faint(self) -> bool:
        """Whether there was sound, but none as loud as a voice."""
        return self.seconds >= _ENOUGH and SILENCE_DB < self.loudest < _FAINT

    @property
    def is_loud(self) -> bool:
        """Whether so much was so loud that it is most likely clipped, or decoded by the wrong codec."""
        return self.sounding >= _ENOUGH and self.loud > _LOUD_SHARE * self.sounding


# Counters of a stream. Where one of them grows, the stream is impaired.
COUNTERS = (
    "late",  # frames sent late or left out, because this process was held up
    "stalled",  # pauses for a slow peer
    "underrun",  # frames without sound in time
    "lost",  # RTP packets
    "malformed",  # messages that are not in the wire format
)
Counters = tuple[int, int, int, int, int]


@dataclass(slots=True)
class Impairment:
    """A period in which a counter grew from look to look, in seconds since the beginning of the call."""

    kind: str  # the name of the counter; or `gap`, in which the peer sent nothing, whose `count` is its seconds
    from_s: float
    to_s: float
    count: int

    def describe(self) -> Mapping[str, Any]:
        """The period, for JSON."""
        times = {"from_s": round(self.from_s, 1), "to_s": round(self.to_s, 1)}
        return {"kind": self.kind, **times, "count": self.count}


class CallHistory:
    """The history of one call. `look` is called once a second."""

    __slots__ = (
        "_counters",
        "_gap",
        "_impairments",
        "_levels",
        "_looked_at",
        "_measured",
        "_received",
        "_sounded",
        "caller",
        "muted_since",
        "us",
    )

    def __init__(self) -> None:
        self._levels, self.caller, self.us = Levels(), Loudness(), Loudness()
        self.muted_since: float | None = None  # when the caller's sound became digital silence; None if it is not
        self._sounded = False  # whether the caller's side has sent any sound
        self._impairments: list[Impairment] = []
        self._counters: Counters = (0, 0, 0, 0, 0)
        self._received, self._gap = 0, Impairment("gap", 0.0, 0.0, 0)
        self._looked_at, self._measured = 0.0, 0

    def measure(self, frames: int, pcm: bytes) -> float | None:
        """The level of the end of the caller's latest frame; None if no frame has come since the last look.

        `frames` is the number of frames that a detector has received, and `pcm` is the end of the latest one.
        """
        if frames == self._measured:
            return None
        self._measured = frames
        return pcm_dbfs(pcm)

    def look(
        self, at: float, caller: float | None, us: float | None, counters: Counters, received: int, *, wanted: bool
    ) -> None:
        """Note both levels in dBFS, None for an unknown one, and the counters, `at` seconds into the call.

        `received` is the number of the peer's messages. `wanted` tells whether anybody listens to the caller,
        apart from a detector of keys: a caller may be quiet while nobody does.
        """
        self._levels.note(at, caller, us)
        if us is not None:
            self.us.note(us)
        if caller is not None:
            self._note_caller(caller, wanted)
        if counters != self._counters:
            self._note_impairments(at, counters)
        if received != self._received:
            self._received, self._gap = received, Impairment("gap", at, at, 0)
        elif received:
            self._note_gap(at)
        self._looked_at = at

    def _note_caller(self, level: float, wanted: bool) -> None:
        if wanted:
            self.caller.note(level)
        if level > SILENCE_DB:
            self._sounded, self.muted_since = True, None
        elif self._sounded and self.muted_since is None:
            self.muted_since = self._looked_at

    def _note_impairments(self, at: float, counters: Counters) -> None:
        changes = zip(COUNTERS, self._counters, counters, strict=True)
        self._counters = counters
        for kind, before, now in changes:
            if now <= before:
                continue
            last = next((each for each in reversed(self._impairments) if each.kind == kind), None)
            if last is not None and last.to_s == self._looked_at:
                last.to_s, last.count = at, last.count + now - before
            else:
                self._add(Impairment(kind, self._looked_at, at, now - before))

    def _note_gap(self, at: float) -> None:
        gap, began = self._gap, not self._gap.count
        gap.to_s, gap.count = at, int(at - gap.from_s) if at - gap.from_s >= _GAP else 0
        if gap.count and began:
            self._add(gap)

    def _add(self, impairment: Impairment) -> None:
        self._impairments.append(impairment)
        del self._impairments[:-MOST_IMPAIRMENTS]

    @property
    def muted(self) -> bool:
        """Whether the caller's side has sent digital silence for so long that it is most likely muted."""
        return self.muted_since is not None and self._looked_at - self.muted_since >= MUTED_AFTER

    @property
    def alarms(self) -> int:
        """The number of problems that the levels show by now. To describe them takes longer."""
        return self.caller.is_faint + self.caller.is_loud + self.us.is_faint + self.us.is_loud + self.muted

    def describe(self) -> Mapping[str, Any]:
        """The facts for JSON: `levels` and `impairments`."""
        caller, us = self._levels.describe()
        muted = {"muted_since_s": round(self.muted_since or 0.0, 1)} if self.muted else {}
        return {
            "levels": {
                "every_s": self._levels.step,
                "caller": {"dbfs": caller, **self.caller.describe(), **muted},
                "us": {"dbfs": us, **self.us.describe()},
            },
            "impairments": [each.describe() for each in self._impairments],
        }
