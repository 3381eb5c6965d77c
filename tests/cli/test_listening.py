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
from tests.sound import read_wav, speechlike, write_wav

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


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"--listen: .*file/sub/a.wav cannot be written: Not a directory"):
        await written(tmp_path, '[paths."/"]\nhandler = "silence"\n', tmp_path / "file/sub")


async def test_the_prompt_folder_is_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is in the prompt folder, and what is there becomes a prompt"):
        await written(tmp_path, '[paths."/"]\nhandler = "silence"\n', tmp_path / "prompts/heard")
