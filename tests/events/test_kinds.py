"""The reference of events, held against what the sources say; `conftest` holds it against what tests see."""

import re
from pathlib import Path

import pytest

import mediaserver
from mediaserver.events.kinds import EVENTS
from tests.known_events import unlike_the_reference

PACKAGE = Path(mediaserver.__file__).parent
SOURCES = "\n".join(file.read_text() for file in sorted(PACKAGE.rglob("*.py")) if file.name != "event_kinds.py")
# How a kind is written where it is made of two parts.
MADE_OF_PARTS = {
    "menu.timeout": 'notify(f"menu.{why}"',
    "menu.invalid": 'notify(f"menu.{why}"',
    "transcript.failed": 'notify(f"{kind}.failed"',
    "report.failed": 'notify(f"{kind}.failed"',
}


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_of_the_reference_is_told_somewhere(kind: str) -> None:
    assert MADE_OF_PARTS.get(kind, f'"{kind}"') in SOURCES


def test_every_event_that_the_sources_tell_is_in_the_reference() -> None:
    told = set(re.findall(r'\b(?:notify|_tell)\(\s*"([a-z]+(?:\.[a-z]+)?)"', SOURCES))
    assert len(told) > 20
    assert told <= EVENTS.keys()


def test_an_event_that_is_unlike_the_reference_is_noticed() -> None:
    assert unlike_the_reference("recording.started", {"file": "a.wav"}) == []
    assert unlike_the_reference("menu.timeout", {"menu": "main"}) == []
    assert unlike_the_reference("order.placed", {"anything": 1}) == []
    assert unlike_the_reference("recording.begun", {}) == ["recording.begun: no such event"]
    assert unlike_the_reference("speech.failed", {"reason": ""}) == [
        "speech.failed: why is missing",
        "speech.failed: reason is not in its payload",
    ]
