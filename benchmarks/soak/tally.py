"""Counts the results of a soak test's calls and hostile peers."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

NOTICED, AUDIBLE, OUTLIER = 0.020, 0.060, 0.250  # three limits of lateness, in seconds, beyond which frames count
_SHOWN = 20


@dataclass
class Kind:
    """The figures of all calls of one kind."""

    calls: int = 0
    frames: int = 0
    lost: int = 0  # expected frames that did not arrive
    wrong: int = 0  # frames that arrived with unexpected content
    waits: int = 0  # frames of silence that the server sent because its audio was not ready
    late_20: int = 0
    late_60: int = 0
    worst_ms: float = 0.0
    outliers: int = 0  # calls with a frame more than 250 ms late, without a fault of this machine
    failed: int = 0  # calls that did not begin, or did not end, as they should

    def add(self, other: "Kind") -> None:
        """Add the figures of another kind of calls."""
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name == "worst_ms" else mine + value)


@dataclass
class Tally:
    """The figures of all calls and of all hostile peers."""

    kinds: defaultdict[str, Kind] = field(default_factory=lambda: defaultdict(Kind))
    refusals: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)  # hostile peers by kind
    survived: Counter[str] = field(default_factory=Counter)  # hostile peers that the server did not disconnect
    heard: Counter[str] = field(default_factory=Counter)  # calls by the prompt and its version that they heard
    trouble: list[str] = field(default_factory=list)
    now: int = 0  # calls in progress

    @property
    def total(self) -> Kind:
        """The figures of all kinds of calls together."""
        total = Kind()
        for kind in self.kinds.values():
            total.add(kind)
        return total

    @property
    def renewed(self) -> int:
        """The number of calls that heard a prompt's later version, which shows that the server notices changes."""
        return sum(count for label, count in self.heard.items() if not label.endswith(" 0"))

    def print_errors(self, text: str) -> None:
        """Keep a text about a problem for the report, up to 20 texts."""
        if len(self.trouble) < _SHOWN:
            self.trouble.append(text)

    def as_dict(self) -> dict[str, Any]:
        """All figures for the JSON file."""
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
