"""What stops a prompt that speech may stop: voices, and what is no voice.

    python -m benchmarks.barge_in [--share /usr/share] [--write]

A minute of each disturbance is played to the VAD of WebRTC and to the detector that stops prompts. Each time
one of them finds speech, a false stop is counted, and it begins anew. Voices come two seconds after noise that is
5, 15 or 25 dB weaker, and also during the echo of a prompt at -20 dBFS, 20 dB below the prompt. Detection takes
from the onset of the voice, which is when it first comes within 15.9 dB of its active level of -26 dBFS (ITU-T
P.56), until the frame is over with which it is detected. A voice is missed if it is not detected in two seconds,
or if the prompt was stopped before it began. All goes through µ-law. --write puts the tables into
benchmarks/README.md and docs/flow-builders/barge-in.md. Needs the extra [speech]; flite, espeak-ng and Debian's
recordings are used where they are installed.
"""

import argparse
import datetime
import re
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.barge_in.measure import DETECTORS, Times, detection_times, false_stops
from benchmarks.barge_in.signals import disturbances, prompt_of, through_mulaw
from benchmarks.barge_in.voices import music, voices
from benchmarks.machine import describe
from benchmarks.tables import Results, Rows, write_section
from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.pcm import Signal, to_bytes

_ROOT = Path(__file__).resolve().parent.parent.parent
_PAGES = (_ROOT / "benchmarks/README.md", _ROOT / "docs/flow-builders/barge-in.md")
_SNRS = (5, 15, 25)
_CONDITIONS = (*((f"{snr} dB", snr, False) for snr in _SNRS), ("15 dB, and echo", 15, True))
_DETAIL = re.compile(r"(, -?\d+ ms.*|, (us|uk|de|fr|jp|kr)|, -\d\d dBFS)$")  # what the short table sums up


def _figures(times: Times) -> list[str]:
    def ms(share: float) -> str:
        seconds = times.percentile(share)
        return f"{seconds * 1000:.0f}" if np.isfinite(seconds) else "-"

    return [ms(50), ms(95), str(times.missed)]


def measure_stops(music: dict[str, Signal], prompts: dict[str, Signal]) -> dict[str, list[int]]:
    """The false stops of each detector, by the disturbance."""
    return {name: false_stops(heard, sent) for name, heard, sent in disturbances(music, prompts)}


def stops_table(stops: dict[str, list[int]], title: str) -> Results:
    """The most stops in a minute, of all disturbances of a kind."""
    kinds: dict[str, list[list[int]]] = {}
    for name, counts in stops.items():
        kinds.setdefault(name if name.startswith("white") else _DETAIL.sub("", name), []).append(counts)
    rows = [[kind, *map(str, np.max(counts, axis=0))] for kind, counts in kinds.items()]
    return Results(title, ("a minute of", *DETECTORS), rows)


def voices_table(found: dict[tuple[str, str], list[Times]], title: str) -> Results:
    """Percentiles of the detection time, and misses."""
    headings = ["voice", "SNR", "utterances"]
    for detector in DETECTORS:
        headings += [f"{detector}: p50, ms", "p95, ms", "missed"]
    rows: Rows = []
    for (voice, condition), times in found.items():
        count = len(times[0].detected) + times[0].missed
        rows.append([voice, condition, str(count), *(cell for each in times for cell in _figures(each))])
    return Results(title, headings, rows)


def over_all(found: dict[tuple[str, str], list[Times]]) -> dict[tuple[str, str], list[Times]]:
    """The times of all voices together, by condition: of synthetic voices, and of recorded ones."""
    summed: dict[tuple[str, str], list[Times]] = {}
    for (voice, condition), times in found.items():
        group = "people, recorded" if voice.startswith("recorded") else "synthetic voices"
        before = summed.get((group, condition), [Times([], 0) for _ in DETECTORS])
        summed[group, condition] = [
            Times(one.detected + other.detected, one.missed + other.missed)
            for one, other in zip(before, times, strict=True)
        ]
    return dict(sorted(summed.items(), key=lambda item: item[0][0]))


def cost() -> str:
    """What a frame costs, in microseconds, of a prompt's voice and of silence."""
    sound = through_mulaw(np.random.default_rng(1).normal(0, 300, 1000 * 160))
    loud = [to_bytes(sound[at : at + 160].astype(np.int16)) for at in range(0, len(sound), 160)]
    costs = []
    for frames in (loud, [bytes(320)] * 1000):
        detector = SpeechDetector()
        began = time.process_time()
        for frame in frames:
            detector.feed(frame)
        costs.append((time.process_time() - began) / len(frames) * 1e6)
    return f"A frame of noise costs {costs[0]:.0f} µs, one of silence {costs[1]:.0f} µs."


def main() -> None:
    """Measure, print, perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=Path, default=Path("/usr/share"), help="where packages put recordings")
    parser.add_argument("--write", action="store_true", help="the tables into the docs")
    options = parser.parse_args()
    spoken = voices(options.share)
    shipped, others = music(options.share, _ROOT / "prompts")
    prompts = {
        f"prompt of {name}": prompt_of(*(sentence.tobytes() for sentence in sentences))
        for name, sentences in list(spoken.items())[::4]
    }
    stops = measure_stops(shipped | others, prompts)
    found = {
        (name, condition): detection_times(sentences, snr, list(prompts.values()) if echoing else ())
        for name, sentences in spoken.items()
        for condition, snr, echoing in _CONDITIONS
    }
    false = stops_table(stops, "False stops in a minute, the most of each kind")
    summary = voices_table(over_all(found), "Detection time from the onset of speech")
    detail = voices_table(found, "Detection time from the onset of speech, by voice")
    console = Console()
    console.print(describe(), cost(), soft_wrap=True, highlight=False)
    for table in (false, summary, detail):
        console.print(table.on_terminal())
    if options.write:
        when = datetime.datetime.now(datetime.UTC).date()
        readme, page = _PAGES
        short = f"{false.as_markdown()}\n\n{summary.as_markdown()}"
        write_section(page, "barge-in", short)
        write_section(readme, "barge-in", f"{describe()}; {when}. {cost()}\n\n{short}\n\n{detail.as_markdown()}")


if __name__ == "__main__":
    main()
