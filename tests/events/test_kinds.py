"""The reference of events, compared with what the sources say; `conftest` compares it with what tests see."""

import ast
import functools
from pathlib import Path

import pytest

import mediaserver
from mediaserver.events.kinds import EVENTS, FAILURES, EventKind
from tests.known_events import unlike_the_reference

PACKAGE = Path(mediaserver.__file__).parent
REFERENCE = PACKAGE / "events"
# Names that other things have, too: handlers, keys of tables, settings.
WORDS_OF_MORE_THAN_EVENTS = {"digits", "keyword", "silence", "analysis", "tone", "mark"}


@functools.cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """All nodes of the package's syntax, each with its file."""
    files = (file for file in sorted(PACKAGE.rglob("*.py")) if REFERENCE not in file.parents)
    return [(file.relative_to(PACKAGE), node) for file in files for node in ast.walk(ast.parse(file.read_text()))]


@functools.cache
def emitted() -> set[str]:
    """The names of the enum's members that the package names."""
    attributes = (node for _, node in nodes() if isinstance(node, ast.Attribute))
    return {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "EventKind"}


def test_every_kind_has_a_payload() -> None:
    assert list(EVENTS) == list(EventKind)
    assert set(FAILURES) <= set(EventKind)


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_is_emitted_somewhere(kind: EventKind) -> None:
    assert kind.name in emitted()


def test_no_kind_is_written_as_a_string_outside_the_enum() -> None:
    literals = [
        f"{file}:{node.lineno}: {node.value}"
        for file, node in nodes()
        if isinstance(node, ast.Constant) and node.value in set(EventKind) - WORDS_OF_MORE_THAN_EVENTS
    ]
    assert literals == []


def test_every_notify_of_the_package_has_a_kind_of_the_enum() -> None:
    """Also where the kind's word is a word of other things."""
    strings = [
        f"{file}:{node.lineno}"
        for file, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("notify", "emit")
        and any(isinstance(argument, ast.Constant | ast.JoinedStr) for argument in node.args)
    ]
    assert strings == []


def test_an_event_that_is_unlike_the_reference_is_noticed() -> None:
    assert unlike_the_reference("recording.started", {"file": "a.wav"}) == []
    assert unlike_the_reference("menu.timeout", {"menu": "main"}) == []
    assert unlike_the_reference("order.placed", {"anything": 1}) == []
    assert unlike_the_reference("recording.begun", {}) == ["recording.begun: no such event"]
    assert unlike_the_reference("speech.failed", {"reason": ""}) == [
        "speech.failed: why is missing",
        "speech.failed: reason is not in its payload",
    ]
