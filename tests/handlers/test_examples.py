"""The worked example does what it says."""

import importlib.util
from pathlib import Path

import pytest

from mediaserver.errors import WebhookError
from mediaserver.handlers import Handler
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.project import ROOT
from tests.sound import read_wav, speechlike
from tests.virtual import VirtualLoop, in_virtual_time

SOUNDS = {name: speechlike(4000, seed) for seed, name in enumerate(["question", "beep", "thanks", "special"], 40)}
COMMENT = speechlike(16_000, 50)


def survey(directory: Path, **settings: object) -> Handler:
    specification = importlib.util.spec_from_file_location("survey", ROOT / "examples/survey.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.Survey.model_validate(
        {"question": "question", "tone": "beep", "thanks": "thanks", "directory": directory} | settings
    )


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        ({"play": "special"}, "special"),
        ({"play": "nothing"}, "thanks"),
        (WebhookError("down"), "thanks"),
        ("", "thanks"),
    ],
)
@in_virtual_time
async def test_the_survey(loop: VirtualLoop, tmp_path: Path, answer: object, last: str) -> None:
    caller = Caller(loop, library_of(SOUNDS), None, answer)
    end = await caller.call(
        survey(tmp_path, webhook="http://backend/surveys").run,
        12_000,
        (200, lambda: caller.say(digits("9"))),  # no grade there is
        (1000, lambda: caller.say(digits("4"))),
        (2000, lambda: caller.say(COMMENT.astype("<i2").tobytes())),
    )
    assert end is not None
    assert end.code == 1000
    heard = caller.heard
    assert (heard[-4000 - 1600 : -1600] == SOUNDS[last]).all()  # and 200 ms of silence
    ((url, told),) = caller.backend.questions
    assert (url, told["grade"]) == ("http://backend/surveys", "4")
    assert caller.backend.events_of("survey.done") == [told]
    comment = read_wav(Path(told["comment"]))
    assert told["seconds"] == len(comment) / 8000 < 7.5  # three seconds of silence ended it
    start = next(n for n in range(len(comment)) if (comment[n : n + 100] == COMMENT[:100]).all())
    assert (comment[start : start + 16_000] == COMMENT).all()


@in_virtual_time
async def test_a_silent_caller_of_the_survey_is_asked_three_times(loop: VirtualLoop, tmp_path: Path) -> None:
    caller = Caller(loop, library_of(SOUNDS))
    await caller.call(survey(tmp_path).run, 20_000)
    assert caller.backend.events_of("survey.done")[0]["grade"] == ""
    heard = caller.heard
    assert sum((heard[at : at + 160] == SOUNDS["question"][:160]).all() for at in range(0, len(heard), 160)) == 3


def test_the_prompts_of_the_survey_are_known_at_start(tmp_path: Path) -> None:
    assert survey(tmp_path, thanks="thank").missing_prompts(library_of(SOUNDS).snapshot) == [
        'no prompt "thank" (did you mean "thanks"?)'
    ]


def test_the_folder_of_the_survey_s_comments_is_tried_out_by_check(tmp_path: Path) -> None:
    assert list(survey(tmp_path).folders()) == [tmp_path]
