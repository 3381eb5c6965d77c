"""Measures an offline speech recogniser on sentences of a synthetic voice in telephone quality.

    python -m benchmarks.recognition [--voice heart] [--write]

The TTS engine hibari speaks 25 sentences. Each is coded in µ-law at 8 kHz, and given with silence around it to
PocketSphinx as the server runs it. The word error rate is the share of words that must be inserted, deleted or
changed. CPU time is that of the recognising process. --write puts the table into benchmarks/README.md, and what it
says into the docs. Needs the extra [speech].
"""

import argparse
import asyncio
import datetime
import os
import statistics
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks.machine import cpu_of_children, describe
from benchmarks.tables import Results, pages_with, read_section, read_table, write_section
from mediaserver.audio import g711
from mediaserver.audio.pcm import FRAME_BYTES, PTIME, SAMPLE_BYTES, SAMPLE_RATE, SILENCE, from_bytes, to_bytes
from mediaserver.config.speech_settings import RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.service import SpeechService
from mediaserver.speech.stt.pocketsphinx import PocketSphinxStt
from mediaserver.speech.tts.interface import Voice

from .score import errors, words_of
from .sentences import SENTENCES

_ROOT = Path(__file__).resolve().parents[2]
_BEFORE, _AFTER = 15, 20  # frames of silence before and after a sentence
_WIDTH = 120  # characters in a line of the docs
_PIECE = 5  # frames that the recogniser is given together, as by the server
HEADINGS = (
    "voice",
    "sentences",
    "words",
    "word error rate",
    "CPU time, s per s of sound",
    "words after the end, ms",
)


class Heard(NamedTuple):
    """The result of one sentence: its words, the recognised words, and times in seconds."""

    wanted: list[str]
    found: list[str]
    seconds: float  # duration of the sentence's audio
    waited: float  # seconds from the end of the audio to the recognised words


async def recognise(recogniser: PocketSphinxStt, text: str, pcm: bytes) -> Heard:
    """Give a sentence to the recogniser at the speed at which it is spoken."""
    began = ended = time.monotonic()

    async def sound() -> AsyncIterator[bytes]:
        nonlocal ended
        for number, at in enumerate(range(0, len(pcm), _PIECE * FRAME_BYTES), 1):
            await asyncio.sleep(began + number * _PIECE * PTIME - time.monotonic())
            yield pcm[at : at + _PIECE * FRAME_BYTES]
        ended = time.monotonic()

    found = await recogniser.recognise(sound(), lambda text: None)
    waited = time.monotonic() - ended
    return Heard(words_of(text), words_of(found.text), len(pcm) / SAMPLE_BYTES / SAMPLE_RATE, waited)


async def spoken(voice: str) -> list[bytes]:
    """Speak all sentences with a voice of hibari, and return their PCM after µ-law coding."""
    speech = SpeechService(SpeechSettings(timeout=60.0))
    try:
        sounds = [await speech.say(text, Voice("hibari", voice)).collect_pcm() for text in SENTENCES]
    finally:
        await speech.close()
    return [to_bytes(g711.mulaw_decode(g711.mulaw_encode(from_bytes(pcm)))) for pcm in sounds]


async def measure(voice: str) -> tuple[list[Heard], float]:
    """Recognise all sentences, one after the other; return the results, and the CPU time in seconds."""
    sounds = [SILENCE * _BEFORE + pcm + SILENCE * _AFTER for pcm in await spoken(voice)]
    recogniser = PocketSphinxStt(RecognitionSettings(processes=1), EngineHttpClient())
    try:
        await recognise(recogniser, "", SILENCE * _AFTER)  # starts the process, which loads its model
        before = cpu_of_children(os.getpid())
        heard = [await recognise(recogniser, *each) for each in zip(SENTENCES, sounds, strict=True)]
        return heard, cpu_of_children(os.getpid()) - before
    finally:
        await recogniser.close()


def table(voice: str, heard: list[Heard], cpu: float) -> Results:
    """The table, which has one row. `cpu` is the CPU time of recognition in seconds."""
    words = sum(len(each.wanted) for each in heard)
    wrong = sum(errors(each.wanted, each.found) for each in heard)
    waited = statistics.median(each.waited for each in heard) * 1000
    cells = [f"{wrong / words:.0%}", f"{cpu / sum(each.seconds for each in heard):.2f}", f"{waited:.0f}"]
    return Results("PocketSphinx", HEADINGS, [[voice, str(len(heard)), str(words), *cells]])


def in_words(found: Results) -> str:
    """What the table says, for the docs."""
    ((_, sentences, _, wrong, cpu, waited),) = found.rows
    text = (
        f"Of {sentences} clean sentences of a synthetic voice, as a telephone carries them, it gets {wrong[:-1]} %"
        f" of the words wrong. It takes {cpu} s of a core for each second of sound, and has the words {waited} ms"
        " after the end where a process is free."
    )
    return textwrap.fill(text, _WIDTH)


def write_docs(root: Path) -> None:
    """Write what the table in benchmarks/README.md says into the docs."""
    table = read_table(read_section(root / "benchmarks" / "README.md", "recognition"), "PocketSphinx")
    for page in pages_with("recognition", root):
        write_section(page, "recognition", in_words(table))


def main() -> None:
    """Measure, print the table, and write it if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", default="heart", help="of hibari")
    parser.add_argument("--write", action="store_true", help="the table into benchmarks/README.md and the docs")
    options = parser.parse_args()
    heard, cpu = asyncio.run(measure(options.voice))
    found = table(options.voice, heard, cpu)
    console = Console()
    console.print(describe(), soft_wrap=True, highlight=False)
    console.print(found.on_terminal())
    if options.write:
        when = datetime.datetime.now(datetime.UTC).date()
        text = f"{describe()}; {when}.\n\n{found.as_markdown()}"
        write_section(_ROOT / "benchmarks" / "README.md", "recognition", text)
        write_docs(_ROOT)


if __name__ == "__main__":
    main()
