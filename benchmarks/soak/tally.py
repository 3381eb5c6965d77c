"""What became of the calls."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

NOTICED, AUDIBLE, OUTLIER = 0.020, 0.060, 0.250  # seconds late
_SHOWN = 20


@dataclass
class Kind:
    """All calls of one kind."""

    calls: int = 0
    frames: int = 0
    lost: int = 0  # frames that should have come
    wrong: int = 0  # frames that should not have come as they did
    waits: int = 0  # frames of silence for want of sound
    late_20: int = 0
    late_60: int = 0
    worst_ms: float = 0.0
    outliers: int = 0  # calls with a frame more than 250 ms late, and no fault of ours
    failed: int = 0  # calls that did not begin, or did not end, as they should

    def add(self, other: "Kind") -> None:
        """And those of another."""
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name == "worst_ms" else mine + value)


@dataclass
class Tally:
    """All calls, and all peers that are none."""

    kinds: defaultdict[str, Kind] = field(default_factory=lambda: defaultdict(Kind))
    refusals: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)  # peers that misbehaved
    survived: Counter[str] = field(default_factory=Counter)  # of these, those that the server did not get rid of
    heard: Counter[str] = field(default_factory=Counter)  # prompts in which version
    trouble: list[str] = field(default_factory=list)
    now: int = 0  # calls in progress

    @property
    def total(self) -> Kind:
        """All kinds together."""
        total = Kind()
        for kind in self.kinds.values():
            total.add(kind)
        return total

    @property
    def renewed(self) -> int:
        """Calls that heard a prompt that was not there at the start: the server takes changes in."""
        return sum(count for label, count in self.heard.items() if not label.endswith(" 0"))

    def print_errors(self, text: str) -> None:
        """Keep the first words on what went wrong."""
        if len(self.trouble) < _SHOWN:
            self.trouble.append(text)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        kinds = {name: asdict(kind) for name, kind in sorted(self.kinds.items())}
        return {
            "kinds": kinds,
            "total": asdict(self.total),
            "refusals": dict(self.refusals),
            "faults": dict(self.faults),
            "survived": dict(self.survived),
            "calls_with_new_prompts": self.renewed,
            "trouble": self.trouble,
        }
