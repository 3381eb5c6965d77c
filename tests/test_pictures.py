"""The pictures of the docs: what they show is what a call does, to the frame, and the committed ones show it."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.pictures import console
from scripts.pictures.diagrams import DIAGRAMS
from scripts.pictures.draw import draw, label
from scripts.pictures.scenes import SCENES
from scripts.pictures.timeline import Timeline

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
FRAME = 0.02


@pytest.fixture(scope="module")
def drawn() -> dict[str, Timeline]:
    """The calls."""
    return {name: scene() for name, scene in SCENES.items()}


def texts(file: Path) -> set[str]:
    root = ElementTree.parse(file).getroot()  # noqa: S314 - our own file
    return {each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")}


def test_a_key_stops_the_prompt_of_a_menu_and_another_the_recording(drawn: dict[str, Timeline]) -> None:
    menu = drawn["menu-call"]
    told = {point.label: point.at for point in menu.points}
    assert list(told) == ["menu.entered", "digits", "recording.started", "recording.done"]
    prompt, beep = menu.sent.spans
    key, speech, end = menu.received.spans
    assert 0 < told["digits"] - key.begin <= 0.05
    assert 0 <= prompt.end - told["digits"] < 2 * FRAME
    assert prompt.end <= beep.begin < told["digits"] + 2 * FRAME  # the prompt fades out in one frame
    assert told["recording.started"] == pytest.approx(beep.end, abs=FRAME)
    assert told["recording.started"] < speech.begin < speech.end < end.begin < told["recording.done"] < end.end


def test_a_bot_that_is_interrupted_fades_out_in_the_next_frame(drawn: dict[str, Timeline]) -> None:
    bot = drawn["bot-barge-in"]
    told = {point.label: point.at for point in bot.points}
    first, last = bot.sent.spans
    (speech,) = bot.received.spans
    assert speech.begin < told["clear"] < speech.begin + 0.15
    assert 0 <= first.end - told["clear"] < 2 * FRAME
    assert told["mark 2 back"] == pytest.approx(first.end, abs=FRAME)
    assert told["mark 3 back"] == pytest.approx(last.end, abs=FRAME)


@pytest.mark.parametrize("name", SCENES)
def test_the_committed_picture_shows_the_call(name: str, drawn: dict[str, Timeline], tmp_path: Path) -> None:
    timeline, fresh = drawn[name], tmp_path / "fresh.svg"
    draw(timeline, fresh)
    assert {timeline.title, *map(label, timeline.points)} <= texts(fresh)
    assert texts(FOLDER / f"{name}.svg") == texts(fresh), "make pictures"


def test_there_are_no_other_pictures() -> None:
    assert {file.stem for file in FOLDER.glob("*.svg")} == {*SCENES, *DIAGRAMS, "dashboard"}
    assert {file.stem for file in FOLDER.glob("*.png")} == console.PICTURES


def test_pictures_of_the_console_are_small() -> None:
    for file in FOLDER.glob("*.png"):
        assert file.stat().st_size < 150_000
