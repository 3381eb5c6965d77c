"""What `check` measures of prompts that have one defect each, and what it says of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from mediaserver.cli.findings import Findings
from tests.cli.test_check import found, shown
from tests.sound import sine, speechlike, write_wav

SILENT = '[paths."/silence"]\nhandler = "silence"\n'
VOICE = np.clip(speechlike(16_000), -20_000, 20_000) // 3


async def checked(folder: Path, settings: str = "", **prompts: np.ndarray) -> Findings:
    """The findings with prompts, by their names; what has a fraction is ±1.0 full scale, at 44.1 kHz."""
    for name, sound in prompts.items():
        if sound.dtype.kind == "f":
            write_wav(folder / f"prompts/{name}.wav", np.rint(sound.clip(-1, 1) * 32767), 44_100)
        else:
            write_wav(folder / f"prompts/{name}.wav", sound)
    return await found(folder, settings + SILENT)


async def told(folder: Path, sound: np.ndarray, settings: str = "") -> list[str]:
    """The warnings about one prompt, without the name of its file."""
    findings = await checked(folder, settings, a=sound)
    assert findings.all_is_well
    return [note.removeprefix(f"{folder / 'prompts/a.wav'} ") for note in findings.notes]


async def test_a_sound_voice_has_its_figures_and_no_warning(tmp_path: Path) -> None:
    findings = await checked(tmp_path, voice=VOICE)
    assert findings.notes == []
    (prompt,) = json.loads(json.dumps(findings.as_json()))["prompts"]
    assert prompt["level_dbov"] == pytest.approx(-28, abs=1)
    assert prompt["out_of_band_percent"] == pytest.approx(22.5, abs=1)  # white noise up to 4 kHz
    rest = ("gain_db", "clipped_runs", "silence_before_s", "silence_after_s", "loop_step_percent")
    assert [prompt[key] for key in rest] == [0.0, 0, 0.0, 0.0, None]
    text = shown(findings, 80)
    assert "Sound of the prompts" in text
    assert f"│ voice  │ {prompt['level_dbov']} │ 0.0 │       0 │ 0.00, 0.00 │" in text


@pytest.mark.parametrize(
    ("sound", "warning"),
    [
        (VOICE // 5, "is soft: -42."),
        (sine(1000, 1, 44_100, 0.9), "is loud: -3."),
        (VOICE + 3604, "has a DC offset of 11.0 % of full scale, which is removed"),
        (
            np.concatenate((VOICE[:8000], VOICE[8000:] + 3000)),
            "has a DC offset of 4.6 % of full scale that varies, so it is not removed",
        ),
        (
            np.concatenate((sine(500, 1, 44_100, 0.1), sine(500, 0.01, 44_100, 1.5))),
            "is clipped at 10 places, which is heard as a crackle",
        ),
        (
            np.concatenate((np.zeros(8000, np.int16), VOICE)),
            "begins with 1.0 s of silence, which prompts.trim_silence cuts off",
        ),
        (
            np.concatenate((VOICE, np.zeros(12_000, np.int16))),
            "ends with 1.5 s of silence, which prompts.trim_silence cuts off",
        ),
        (
            sine(60, 1, 44_100, 0.2) + sine(1000, 1, 44_100, 0.05),
            "has 94 % of its energy outside of 300 to 3400 Hz, so telephones carry little of it",
        ),
    ],
)
async def test_each_defect_is_told(tmp_path: Path, sound: np.ndarray, warning: str) -> None:
    (said,) = await told(tmp_path, np.asarray(sound, dtype=sound.dtype if sound.dtype.kind == "f" else np.int16))
    assert said.startswith(warning)


async def test_what_the_settings_mend_is_not_told(tmp_path: Path) -> None:
    silence = np.zeros(16_000, np.int16)
    soft = np.concatenate((silence, VOICE // 5, silence)).astype(np.int16)
    settings = "[prompts]\nloudness = -26\ntrim_silence = true\n"
    assert await told(tmp_path, soft, settings) == []
    (prompt,) = (await found(tmp_path, settings + SILENT)).prompts
    assert prompt["level_dbov"] == -26.0
    assert prompt["gain_db"] == pytest.approx(16.2, abs=0.2)
    assert (prompt["silence_before_s"], prompt["silence_after_s"]) == (0.02, 0.02)


async def test_a_level_that_is_not_reached_is_told(tmp_path: Path) -> None:
    peaky = np.random.default_rng(1).normal(0, 1000, 40_000).astype(np.int16)
    peaky[::8000] = 30_000
    (said,) = await told(tmp_path, peaky, "[prompts]\nloudness = -12\n")
    assert said.startswith("stays 17.")


@pytest.mark.parametrize(
    "path",
    [
        'handler = "hold-music"\nprompts = ["loop*"]',
        'handler = "playback"\nprompts = ["loop1", "loop2"]\nrepeat = "forever"',
    ],
)
async def test_a_loop_whose_ends_do_not_meet_clicks(tmp_path: Path, path: str) -> None:
    ramp = np.rint(sine(50, 1.005, 8000, 0.2) * 32768).astype(np.int16)  # ends amid a wave, at its peak
    findings = await checked(tmp_path, f'[paths."/l"]\n{path}\n', loop1=ramp, loop2=ramp[:8000], other=VOICE)
    steps = {prompt["name"]: prompt["loop_step_percent"] for prompt in findings.prompts}
    assert steps == {"loop1": 20.0, "loop2": pytest.approx(0.8, abs=0.1), "other": None}
    (note,) = [note for note in findings.notes if "clicks" in note]
    assert note.endswith("loop1.wav clicks where it is looped: its end and what follows are 20.0 % apart")


async def test_prompts_that_do_not_loop_have_no_step(tmp_path: Path) -> None:
    for n, line in enumerate(("repeat = 1", "repeat = 3\ngap_ms = 100")):
        findings = await checked(tmp_path, f'[paths."/l"]\nhandler = "playback"\nprompt = "a"\n{line}\n', a=VOICE)
        assert findings.prompts[0]["loop_step_percent"] is None, n


async def test_a_gain_that_peaks_do_not_allow_is_told(tmp_path: Path) -> None:
    paths = '[paths."/a"]\nhandler = "hold-music"\nprompts = ["*"]\ngain = 20\n'
    paths += '[paths."/b"]\nhandler = "playback"\nprompt = "a"\ngain = 12.5\n'
    findings = await checked(tmp_path, paths, a=VOICE, b=VOICE // 8)
    peak = np.abs(VOICE).max()
    allowed = 20 * np.log10(32_123 / peak)
    assert 12.5 < allowed < 20
    notes = [note for note in findings.notes if " gain: " in note]
    assert notes == [
        f'c.toml: paths."/a": gain: prompt "a" gets {allowed - 0.005:.1f} dB only, or its peaks would clip'
    ]


@pytest.mark.parametrize("value", ["true", '"3"', "21", "-41"])
async def test_a_gain_that_is_none_is_told(tmp_path: Path, value: str) -> None:
    findings = await checked(
        tmp_path, f'[paths."/a"]\nhandler = "playback"\nprompt = "a"\ngain = {value}\n', a=VOICE
    )
    assert [problem.split(": should")[0] for problem in findings.problems] == ['c.toml: paths."/a": gain']
