"""Draws a soak test: memory, calls, lateness and open files over time."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]  # only `make soak` has it

from .watch import Sample

_PANELS = (
    ("memory, MB", {"rss_mb": "server", "cache_mb": "of it prompts"}),
    ("calls", {"calls": "in progress"}),
    ("late, ms", {"late_p99_ms": "p99", "late_max_ms": "worst", "loop_lag_ms": "server's loop, mean"}),
    ("open files", {"fds": "server"}),
)
_SECONDS_A_MINUTE = 60


def plot(samples: Sequence[Sample], warm_up: float, file: Path) -> Path:
    """Draw the samples as PNG. The warm-up is grey, and dotted lines are reloads of configuration and prompts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(11, 10), layout="constrained")
    minutes = [sample.seconds / _SECONDS_A_MINUTE for sample in samples]
    reloads = [
        after.seconds / _SECONDS_A_MINUTE for before, after in pairwise(samples) if after.reloads > before.reloads
    ]
    for panel, (title, lines) in zip(
        figure.subplots(len(_PANELS), sharex=True, squeeze=False)[:, 0], _PANELS, strict=True
    ):
        for name, label in lines.items():
            panel.plot(minutes, [getattr(sample, name) for sample in samples], label=label, linewidth=1.2)
        for at in reloads:
            panel.axvline(at, color="grey", linestyle=":", linewidth=0.6)
        panel.axvspan(0, warm_up / _SECONDS_A_MINUTE, color="grey", alpha=0.12)
        panel.set_ylabel(title)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.25)
        panel.legend(loc="upper left", fontsize="small")
    panel.set_xlabel("minutes; grey: warm-up, dotted: reloads")
    figure.savefig(file, dpi=110)
    return file
