"""How long a sound file may be, to the sample; and what is said of files without a header."""

import io
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding import decode as decoding
from mediaserver.playout.decoding.conditioning import condition
from mediaserver.playout.decoding.decode import decode, decode_file
from mediaserver.playout.decoding.options import Conditioning
from tests.sound import sine, speechlike, write_wav

TOO_LONG = r"^is longer than 0\.1 s: cut it into parts, or raise prompts\.longest$"


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("a.sln", bytes(1600), bytes(2)),
        ("a.sln16", bytes(3200), bytes(4)),
        ("a.ulaw", b"\xff" * 800, b"\xff"),
        ("a.alaw", b"\xd5" * 800, b"\xd5"),
    ],
)
def test_a_headerless_file_is_as_long_as_it_may_be_and_no_sample_longer(
    tmp_path: Path, name: str, content: bytes, more: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert len(decode_file(path, 0.1).pcm) == 1600
    path.write_bytes(content + more)
    with pytest.raises(PromptError, match=TOO_LONG):
        decode_file(path, 0.1)


@pytest.mark.parametrize("joined", [1, 2])
def test_a_wav_file_is_as_long_as_it_may_be_and_no_sample_longer(tmp_path: Path, joined: int) -> None:
    """Also where several were joined end to end, none of which is too long alone."""
    path = write_wav(tmp_path / "a.wav", speechlike(800 // joined))
    path.write_bytes(path.read_bytes() * joined)
    assert len(decode_file(path, 0.1).pcm) == 1600
    longer = write_wav(tmp_path / "b.wav", speechlike(800 // joined + 1))
    longer.write_bytes(longer.read_bytes() * joined)
    with pytest.raises(PromptError, match=TOO_LONG):
        decode_file(longer, 0.1)


def test_sound_beyond_what_a_header_promises_is_not_kept() -> None:
    """A header may tell no length, or too small a one: what comes is counted as well."""
    sound = decoding._Sound(iter([bytes(1000), bytes(600), bytes(2)]), "")
    with pytest.raises(PromptError, match=TOO_LONG):
        decoding._join(sound, 0.1)
    assert decoding._join(decoding._Sound(iter([bytes(1000), bytes(600)]), "", 0.1), 0.1) == bytes(1600)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.sln", "raw 8000 Hz 16-bit mono"),
        ("a.sln44", "raw 44100 Hz 16-bit mono"),
        ("a.ulaw", "raw 8000 Hz µ-law mono"),
        ("a.al", "raw 8000 Hz A-law mono"),
    ],
)
def test_a_file_without_a_header_is_described_by_its_name(tmp_path: Path, name: str, source: str) -> None:
    (tmp_path / name).write_bytes(bytes(320))
    assert decode_file(tmp_path / name).source == source


@pytest.mark.parametrize("name", ["a.g722", "a.gsm"])
def test_an_empty_file_without_a_header_is_described_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    rate = {"a.g722": 16_000, "a.gsm": 8000}[name]
    assert decode_file(tmp_path / name).source == f"raw {rate} Hz {name[2:].upper()} mono"


def test_half_a_sample_at_the_end_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.sln").write_bytes(to_bytes(speechlike(800)) + b"\x01")
    decoded = decode_file(tmp_path / "a.sln")
    assert decoded.pcm == to_bytes(speechlike(800))
    assert decoded.warnings == ("ends amid a sample, which is left out",)


class Shrinking(io.BytesIO):
    """A file that is cut while it is read: it looks longer at first."""

    def seek(self, at: int, whence: int = 0, /) -> int:
        return super().seek(at, whence) + (320 if whence else 0)


@pytest.mark.parametrize("name", ["a.sln", "a.ulaw"])
def test_a_file_that_is_cut_while_it_is_read_is_not_played_as_if_it_were_whole(name: str) -> None:
    with pytest.raises(PromptError, match=r"^became shorter while it was read$"):
        decode(Path(name), Shrinking(to_bytes(speechlike(800))))


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_long_files_are_read_in_blocks_of_whole_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    """Blocks that divide no sample: 1001 bytes are 250 frames of two channels, and 500 samples of one."""
    samples = speechlike(4000)
    whole = decode_file(write_wav(tmp_path / "a.wav", samples, rate, channels=2)).pcm
    (tmp_path / "a.sln").write_bytes(to_bytes(samples))
    monkeypatch.setattr(decoding, "_BLOCK", 1001)
    assert decode_file(tmp_path / "a.wav").pcm == whole
    assert decode_file(tmp_path / "a.sln").pcm == to_bytes(samples)


# -- what is done to a prompt once it is decoded ---------------------------------------------------


def test_samples_that_need_no_change_are_left_as_they_are() -> None:
    samples = speechlike(8000)
    conditioned = condition(samples, Conditioning())
    assert conditioned.samples is samples
    assert (conditioned.offset, conditioned.gain, conditioned.warnings) == (0, 0.0, ())


def test_what_is_done_to_a_prompt_is_told_by_its_figures() -> None:
    tone = sine(1000, 2, 8000, 0.1) * 32768
    shifted = condition((tone + 1638).astype(np.int16), Conditioning())
    assert shifted.offset == pytest.approx(1638, abs=2)
    assert shifted.warnings == ("has a DC offset of 5.0 % of full scale, which is removed",)
    assert abs(shifted.samples.astype(int).mean()) < 2
    softer = condition(tone.astype(np.int16), Conditioning(-33.0))
    assert (softer.gain, softer.warnings) == (pytest.approx(-10, abs=0.2), ())
    soft = condition((tone / 100).astype(np.int16), Conditioning(-20.0))
    assert soft.gain == 30.0
    (warning,) = soft.warnings
    assert warning.endswith(" dB below prompts.loudness: no prompt is amplified by more than 30 dB")
    loud = condition((tone * 5).astype(np.int16), Conditioning(0.0))
    assert 0 < loud.gain < 7
    (warning,) = loud.warnings
    assert warning.endswith(" dB below prompts.loudness: its peaks would clip otherwise")


def test_a_sound_without_a_speech_level_keeps_its_own_and_silence_is_no_mistake() -> None:
    assert condition(np.zeros(8000, np.int16), Conditioning(-26.0)).warnings == ()
    click = np.zeros(8000, np.int16)
    click[4000] = 100
    conditioned = condition(click, Conditioning(-26.0))
    assert (conditioned.gain, conditioned.samples.tolist()) == (0.0, click.tolist())
    assert conditioned.warnings == (
        "is not levelled: it is too short, too soft or too sparse to have a speech level",
    )
