"""What `check --listen` writes is what callers hear: bit for bit, through the codec of their paths."""

from pathlib import Path

import numpy as np
import pytest

from mediaserver import config
from mediaserver.audio import g711
from mediaserver.cli.findings import collect_findings
from mediaserver.errors import ConfigError
from tests.audio import p56
from tests.server.process import write_config
from tests.sound import read_wav, sine, speechlike, write_wav

VOICE = (speechlike(4321) // 4).astype(np.int16)


async def written(folder: Path, text: str, directory: Path | None = None) -> dict[str, np.ndarray]:
    """The files that are written of two prompts, by their names in the folder."""
    for name in ("a", "b/c"):
        write_wav(folder / f"prompts/{name}.wav", VOICE)
    settings, problems = config.load(write_config(folder, text))
    place = directory or folder / "heard"
    await collect_findings(settings, "c.toml", problems, lambda done, total: None, place)
    return {file.relative_to(place).as_posix(): read_wav(file) for file in place.rglob("*.*")}


def through(law: str) -> np.ndarray:
    encode, decode = getattr(g711, f"{law}_encode"), getattr(g711, f"{law}_decode")
    return decode(encode(VOICE))


async def test_a_prompt_is_written_as_each_path_plays_it(tmp_path: Path) -> None:
    files = await written(
        tmp_path,
        '[paths."/plain"]\nhandler = "playback"\nprompt = "a"\n'
        '[paths."/phone"]\nhandler = "playback"\nprompt = "a"\nencapsulation = "rtp"\n'
        '[paths."/soft"]\nhandler = "playback"\nprompt = "a"\ngain = -6\nencapsulation = "sln"\n'
        '[paths."/any/{name}"]\nhandler = "playback"\nprompt = "b/{name}"\n'
        'encapsulation = "rtp"\nrtp_payload = "pcma"\n',
    )
    assert files.keys() == {"a.wav", "a (mulaw).wav", "a (-6 dB).wav", "b/c (alaw).wav"}
    assert np.array_equal(files["a.wav"], VOICE)
    assert np.array_equal(files["a (mulaw).wav"], through("mulaw"))
    assert np.array_equal(files["b/c (alaw).wav"], through("alaw"))
    assert np.array_equal(files["a (-6 dB).wav"], np.rint(VOICE * 10 ** (-6 / 20)))


async def test_a_variant_is_written_as_paths_play_it_to_callers_of_its_language(tmp_path: Path) -> None:
    for name in ("a.de", "de/b/c"):
        write_wav(tmp_path / f"prompts/{name}.wav", VOICE)
    path = '[paths."/{0}"]\nhandler = "playback"\nprompt = "{1}"\ngain = -6\n'
    files = await written(tmp_path, path.format("x", "a") + path.format("{name}", "b/{name}"))
    assert files.keys() == {f"{name} (-6 dB).wav" for name in ("a", "a.de", "b/c", "de/b/c")}


async def test_a_prompt_that_no_path_plays_is_written_as_it_is_levelled(tmp_path: Path) -> None:
    text = '[prompts]\nloudness = -26\n[paths."/"]\nhandler = "silence"\n'
    files = await written(tmp_path, text)
    assert files.keys() == {"a.wav", "b/c.wav"}
    assert p56.active_level(files["a.wav"]) == pytest.approx(-26, abs=0.1)


OVER = """
[paths."/over"]
handler = "playback"
prompt = "a"
gain = -3
background = "music/hum"
background_level = -30
background_ducking = 14
"""


def power_dbov(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(samples.astype(float) ** 2) / 32768**2)


@pytest.mark.parametrize(("wire", "law"), [("", ""), ('encapsulation = "rtp"\n', "mulaw, ")])
async def test_a_background_is_heard_under_the_prompt_and_after_it(tmp_path: Path, wire: str, law: str) -> None:
    write_wav(tmp_path / "prompts/music/hum.wav", np.rint(sine(200, 1, 8000, 0.2) * 32767))
    files = await written(tmp_path, OVER + wire)
    name = f"a ({law}-3 dB, over music-hum at -30 dBov, lowered by 14 dB).wav"
    alone_name = f"music/hum ({law}background at -30 dBov).wav"
    assert files.keys() == {name, alone_name, "b/c.wav"}
    heard, alone = files[name], files[alone_name]
    frames = -(-len(VOICE) // 160)
    assert len(heard) == (frames + 100) * 160
    prompt = np.pad(np.rint(VOICE * 10 ** (-3 / 20)), (0, frames * 160 - len(VOICE)))
    under = heard[: frames * 160] - prompt
    assert np.abs(under[:40]).max() < 0.05 * np.abs(VOICE).max()  # it fades in
    if not law:
        assert power_dbov(under[8 * 160 : -160]) == pytest.approx(-44, abs=0.5)
    assert power_dbov(heard[-8000:]) == pytest.approx(-30, abs=0.3)
    assert len(alone) == 8000
    assert power_dbov(alone[4000:]) == pytest.approx(-30, abs=0.3)
    if law:
        for sound in (heard, alone):
            assert np.array_equal(g711.mulaw_decode(g711.mulaw_encode(sound)), sound)


@pytest.mark.parametrize("name", ["{name}", "missing"])
async def test_a_background_that_is_not_known_is_left_out(tmp_path: Path, name: str) -> None:
    files = await written(tmp_path, OVER.replace("music/hum", name).replace("/over", "/{name}"))
    assert files.keys() == {"a (-3 dB).wav", "b/c.wav"}


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"--listen: .*file/sub/a.wav cannot be written: Not a directory"):
        await written(tmp_path, '[paths."/"]\nhandler = "silence"\n', tmp_path / "file/sub")


async def test_the_prompt_folder_is_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is in the prompt folder, and what is there becomes a prompt"):
        await written(tmp_path, '[paths."/"]\nhandler = "silence"\n', tmp_path / "prompts/heard")
