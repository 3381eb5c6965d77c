"""What `check` and the console say of a prompt: its figures, and a warning beyond each threshold only."""

from pathlib import Path
from typing import Any

import pytest

from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.playout.decoding.measuring import Measurement
from mediaserver.playout.decoding.pool import AudioInfo, DecodePool
from mediaserver.playout.prompts.prompt_store import Prompt, PromptStore
from mediaserver.playout.prompts.report import describe_loudness, describe_prompt

GOOD = Measurement(
    level=-26.0,
    gain=0.0,
    offset=0.0,
    offset_removed=False,
    clipped_runs=0,
    out_of_band=0.1,
    silence_before=0.0,
    silence_after=0.0,
    first=0.0,
    last=0.0,
    slope=0.0,
    waveform=(),
)
AMPLE = -60.0  # a peak in dBFS below which there is room for any gain


def prompt_of(
    loudness: float = -26.0, samples: int = 8000, peak: float = -3.0, warnings: tuple[str, ...] = ()
) -> Prompt:
    info = AudioInfo("WAV 8000 Hz 16-bit mono", peak, loudness, warnings)
    return Prompt("a", Path("a.wav"), samples, info, PromptStore(1000, DecodePool()))


def warnings_of(
    samples: int = 8000, step: tuple[float, bool] | None = None, levelled: bool = False, **figures: Any
) -> list[str]:
    found = describe_prompt(prompt_of(samples=samples), GOOD._replace(**figures), step, levelled=levelled)
    warnings: list[str] = found["warnings"]
    return warnings


# -- loudness, as decoding has measured it ---------------------------------------------------------


@pytest.mark.parametrize(
    ("loudness", "gain", "told"),
    [
        (-38.0, 0.0, ""),
        (-38.1, 0.0, "is soft: -38.1 LUFS, where telephone voices have -26"),
        (-14.0, 0.0, ""),
        (-13.9, 0.0, "is loud: -13.9 LUFS, where telephone voices have -26"),
        (-40.0, 2.0, ""),  # amplified, it is as loud as it should be
        (-40.0, 1.0, "is soft: -39.0 LUFS, where telephone voices have -26"),
        (-30.0, -9.0, "is soft: -39.0 LUFS, where telephone voices have -26"),
        (-20.0, 9.0, "is loud: -11.0 LUFS, where telephone voices have -26"),
        (SILENCE_DB, 0.0, ""),  # silence is meant
    ],
)
def test_a_prompt_is_too_soft_or_too_loud_as_it_is_played(loudness: float, gain: float, told: str) -> None:
    assert describe_loudness(prompt_of(loudness, peak=AMPLE), gain) == told


def test_without_a_gain_a_prompt_is_judged_as_it_is() -> None:
    assert describe_loudness(prompt_of(-38.5)).startswith("is soft: -38.5 LUFS")


@pytest.mark.parametrize(("samples", "told"), [(3199, False), (3200, True)])
def test_a_sound_that_is_too_short_to_have_a_loudness_is_not_judged(samples: int, told: bool) -> None:
    assert bool(describe_loudness(prompt_of(-50.0, samples))) is told


# -- all figures -----------------------------------------------------------------------------------


def test_a_good_prompt_has_figures_and_no_warning() -> None:
    measured = GOOD._replace(
        level=-25.46,
        gain=1.44,
        offset=-0.0904,
        offset_removed=True,
        silence_before=0.124,
        silence_after=0.876,
        out_of_band=0.1234,
    )
    assert describe_prompt(prompt_of(), measured, (0.0126, False), levelled=False) == {
        "name": "a",
        "duration_s": 1.0,
        "source": "WAV 8000 Hz 16-bit mono",
        "peak_dbfs": -3.0,
        "loudness_lufs": -26.0,
        "level_dbov": -25.5,
        "gain_db": 1.4,
        "dc_percent": -9.0,
        "clipped_runs": 0,
        "silence_before_s": 0.12,
        "silence_after_s": 0.88,
        "out_of_band_percent": 12.3,
        "loop_step_percent": 1.3,
        "warnings": [],
    }


def test_what_was_not_measured_is_none_and_what_decoding_found_is_told_first() -> None:
    prompt = prompt_of(warnings=("ends amid a sample",))
    found = describe_prompt(prompt, None, None, levelled=False)
    figures = {"level_dbov", "gain_db", "dc_percent", "clipped_runs", "silence_before_s", "silence_after_s"}
    assert {key for key, value in found.items() if value is None} == figures | {
        "out_of_band_percent",
        "loop_step_percent",
    }
    assert found["warnings"] == ["ends amid a sample"]
    again = describe_prompt(prompt, GOOD._replace(clipped_runs=1), None, levelled=False)
    assert again["warnings"][0] == "ends amid a sample"
    assert len(again["warnings"]) == 2


def test_silence_has_no_level_and_an_offset_of_nearly_nothing_no_sign() -> None:
    found = describe_prompt(prompt_of(), GOOD._replace(level=SILENCE_DB, offset=-0.0001), None, levelled=False)
    assert (found["level_dbov"], found["gain_db"], found["warnings"]) == (None, 0.0, [])
    assert str(found["dc_percent"]) == "0.0"


@pytest.mark.parametrize(
    ("figures", "warnings"),
    [
        ({"level": -38.0}, []),
        ({"level": -14.0}, []),
        ({"level": -38.1}, ["is soft: -38.1 dBov, where telephone voices have -26; prompts.loudness levels all"]),
        ({"level": -13.9}, ["is loud: -13.9 dBov, where telephone voices have -26; prompts.loudness levels all"]),
        ({"level": -50.0, "levelled": True}, []),
        ({"offset": 0.02, "offset_removed": True}, []),
        ({"offset": -0.5}, ["has a DC offset of 50.0 % of full scale that varies, so it is not removed"]),
        ({"offset": 0.5, "samples": 100}, []),  # too short to tell
        ({"clipped_runs": 1}, ["is clipped at one place, which is heard as a crackle"]),
        ({"clipped_runs": 12}, ["is clipped at 12 places, which is heard as a crackle"]),
        ({"silence_before": 0.5}, []),
        (
            {"silence_before": 0.51},
            ["begins with 0.5 s of silence, which prompts.trim_silence cuts off"],
        ),
        ({"silence_after": 1.0}, []),
        ({"silence_after": 1.26}, ["ends with 1.3 s of silence, which prompts.trim_silence cuts off"]),
        ({"out_of_band": 0.8}, []),
        (
            {"out_of_band": 0.81},
            ["has 81 % of its energy outside of 300 to 3400 Hz, so telephones carry little of it"],
        ),
        ({"step": (0.3, False)}, []),
        ({"step": (0.3, True)}, ["clicks where it is looped: its end and what follows are 30.0 % apart"]),
    ],
)
def test_a_figure_beyond_its_threshold_is_a_warning(figures: dict[str, Any], warnings: list[str]) -> None:
    assert warnings_of(**figures) == warnings
