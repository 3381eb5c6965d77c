"""Draws the timeline of a call as SVG."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mediaserver.audio.pcm import FRAME_SAMPLES, FULL_SCALE, PTIME
from scripts.pictures.figure import BLUE, ORANGE, STYLE, save
from scripts.pictures.timeline import Point, Timeline, Track

_SENT, _RECEIVED, _TOLD = BLUE, ORANGE, "#333333"
_BLANK = {"facecolor": "white", "linewidth": 0, "pad": 0.3}  # a white box around a label, which hides lines
_ROWS = 4  # rows in which labels are put, so that neighbouring labels do not overlap
_LETTER = 0.048  # the approximate width of a letter of a label, in seconds of the time axis


def draw(timeline: Timeline, file: Path) -> None:
    """Draw a timeline as SVG on white, because pages may be light or dark."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.6), layout="constrained", facecolor="white")
        sent, received, told = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 3))
        figure.suptitle(timeline.title, x=0.01, ha="left", fontsize=11)
        _sound(sent, timeline.sent, _SENT)
        _sound(received, timeline.received, _RECEIVED)
        _points(told, timeline)
        for panel in (sent, received):
            for point in timeline.points:
                panel.axvline(point.at, color="#bbbbbb", linewidth=0.7, zorder=0)
        save(figure, file)


def _sound(panel: Any, track: Track, colour: str) -> None:
    """Draw the envelope of a track, one step for each frame, and the labels of its spans."""
    frames = track.sound.reshape(-1, FRAME_SAMPLES) / FULL_SCALE
    times = np.arange(len(frames) + 1) * PTIME
    low, high = (np.append(side, 0.0).round(4) for side in (frames.min(axis=1), frames.max(axis=1)))
    panel.fill_between(times, low, high, step="post", color=colour, linewidth=0)
    most = max(float(np.abs(frames).max()), 0.01)
    panel.set_ylim(-1.15 * most, 1.9 * most)
    for span in track.spans:
        panel.annotate("", (span.begin, 1.25 * most), (span.end, 1.25 * most), arrowprops=_bracket(colour))
        label = f"{span.label} ({span.end - span.begin:.2f} s)"
        panel.text(span.begin, 1.4 * most, label, color=colour, ha="left", va="bottom", bbox=_BLANK)
    panel.set_ylabel(track.title)
    panel.set_yticks([])
    panel.spines[["top", "right", "left"]].set_visible(False)


def _bracket(colour: str) -> dict[str, Any]:
    return {"arrowstyle": "|-|,widthA=0.25,widthB=0.25", "color": colour, "shrinkA": 0, "shrinkB": 0}


def _points(panel: Any, timeline: Timeline) -> None:
    """Draw the labels of the timeline's points, each in the first row that has room."""
    ends = [float("-inf")] * _ROWS
    for point in timeline.points:
        text = label(point)
        row = next((n for n, end in enumerate(ends) if end < point.at), _ROWS - 1)
        ends[row] = point.at + _LETTER * len(text)
        panel.plot([point.at, point.at], [0, -row - 0.5], color=_TOLD, linewidth=0.8)
        panel.text(point.at + 0.02, -row - 0.5, text, color=_TOLD, ha="left", va="center", bbox=_BLANK)
    panel.set_ylim(-_ROWS, 0)
    panel.set_xlim(0, timeline.seconds + 0.7)
    panel.set_ylabel(timeline.told)
    panel.set_xlabel("seconds")
    panel.set_yticks([])
    panel.spines[["right", "left"]].set_visible(False)


def label(point: Point) -> str:
    """The label of a point: its time and its text."""
    return f"{point.at:.2f} {point.label}"
