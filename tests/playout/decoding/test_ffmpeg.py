"""Decoding by ffmpeg as a program: the samples it gives, and what is told where it fails."""

from pathlib import Path

import numpy as np
import pytest

from mediaserver.errors import PromptError
from mediaserver.playout.decoding.ffmpeg import AudioStream, _last_message, decoded_blocks, is_installed, probe
from tests.sound import speechlike, write_wav

pytestmark = pytest.mark.skipif(not is_installed(), reason="no ffmpeg and ffprobe on this machine")


@pytest.mark.parametrize("rate", [8000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_mixed_to_one_channel_at_its_own_rate(tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.column_stack([speechlike(100_003, seed) for seed in range(channels)])
    path = write_wav(tmp_path / "a b.wav", samples, rate, channels)
    stream = probe(path)
    assert stream == AudioStream(rate, channels, stream.seconds)
    assert stream.seconds == pytest.approx(100_003 / rate, abs=1e-4)
    with decoded_blocks(path, stream) as blocks:
        decoded = np.concatenate(list(blocks))
    assert decoded == pytest.approx(samples.mean(axis=1) / 32768, abs=1e-6)


def test_what_ffmpeg_finds_no_sound_in_is_told_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("no sound at all, of no kind")
    with pytest.raises(PromptError, match=r"^cannot be decoded by ffmpeg: .*Invalid data found") as found:
        probe(tmp_path / "a.xyz")
    assert str(tmp_path) not in str(found.value)


def test_ffmpeg_is_ended_where_not_all_of_the_sound_is_wanted(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(800_000))
    with decoded_blocks(path, probe(path)) as blocks:
        assert len(next(blocks)) > 0


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ("", "it gave no reason"),
        (" \n\n", "it gave no reason"),
        ("a warning\n  file:/a b/c.wav: Invalid data found \n\n", "Invalid data found"),
        ("Error opening input file file:/a b/c.wav.\n", "Error opening input file it."),
    ],
)
def test_the_last_message_of_ffmpeg_is_told_without_the_path(messages: str, told: str) -> None:
    assert _last_message(messages.encode(), Path("/a b/c.wav")) == told
