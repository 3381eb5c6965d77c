"""What a running Asterisk sent, as data for tests: see `captures/README.md`."""

import json
import wave
from pathlib import Path
from typing import NamedTuple

CAPTURES = Path(__file__).with_name("captures")


class Captured(NamedTuple):
    """An AudioSocket message, and when it came."""

    t_ms: float  # since the first
    kind: int
    payload: bytes


def captured(name: str) -> list[Captured]:
    """The messages of one stream, `media-stream-ulaw` or `media-stream-slin`; the UUID is the first."""
    lines = (CAPTURES / f"{name}.jsonl").read_text().splitlines()
    messages = map(json.loads, lines)
    return [Captured(each["t_ms"], each["kind"], bytes.fromhex(each["payload"])) for each in messages]


def captured_speech() -> bytes:
    """The PCM that the telephone said in them, before its µ-law."""
    with wave.open(str(CAPTURES / "said.wav"), "rb") as file:
        return file.readframes(file.getnframes())
