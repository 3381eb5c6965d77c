"""Sound files of every kind to 8 kHz, held against other implementations and against what was put in."""

import os
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import FULL_SCALE, from_bytes, to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decode import decode_file
from tests.sound import convert, level_db, sine, speechlike, write_wav


def samples_of(path: Path) -> np.ndarray:
    return from_bytes(decode_file(path).pcm)


def test_8_khz_16_bit_mono_passes_bit_exact(tmp_path: Path) -> None:
    samples = speechlike(12345)
    decoded = decode_file(write_wav(tmp_path / "a.wav", samples))
    assert decoded.pcm == to_bytes(samples)
    assert decoded.source == "WAV 8000 Hz 16-bit mono"


@pytest.mark.parametrize("extension", ["pcm", "raw", "sln", "PCM"])
def test_headerless_pcm_passes_bit_exact(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_bytes(to_bytes(speechlike(1000)))
    assert decode_file(path).pcm == to_bytes(speechlike(1000))


@pytest.mark.parametrize(
    ("extension", "encode", "decode"),
    [
        *((name, g711.mulaw_encode, g711.mulaw_decode) for name in ("ulaw", "ul", "mulaw")),
        *((name, g711.alaw_encode, g711.alaw_decode) for name in ("alaw", "al")),
    ],
)
def test_headerless_companded_audio_is_expanded(tmp_path: Path, extension, encode, decode) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_bytes(encode(speechlike(1000)))
    assert (samples_of(path) == decode(encode(speechlike(1000)))).all()


@pytest.mark.parametrize(
    ("codec", "worst"),
    [
        ("pcm_s16le", 0),
        ("pcm_s24le", 0),
        ("pcm_s32le", 0),
        ("pcm_f32le", 0),
        ("pcm_f64le", 0),
        ("pcm_u8", 256),  # a step of 8 bits
        ("pcm_mulaw", 1024),
        ("pcm_alaw", 1024),
        ("adpcm_ima_wav", 8192),  # compressed: by ffmpeg
    ],
)
def test_wav_of_every_codec_that_ffmpeg_writes(tmp_path: Path, ffmpeg: str, codec: str, worst: int) -> None:
    samples = (speechlike(8000) // 2).astype(np.int16)
    source = write_wav(tmp_path / "source.wav", samples)
    path = convert(ffmpeg, source, tmp_path / "coded.wav", "-c:a", codec)
    decoded = samples_of(path)[:8000]
    assert len(decoded) == 8000
    assert np.abs(decoded.astype(int) - samples).max() <= worst


def test_stereo_is_mixed_down(tmp_path: Path) -> None:
    left, right = speechlike(1000, 1), speechlike(1000, 2)
    path = write_wav(tmp_path / "a.wav", np.stack((left, right), axis=1).reshape(-1), channels=2)
    mean = (left.astype(int) + right) / 2
    assert np.abs(samples_of(path) - mean).max() <= 0.5


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 44100, 48000, 96000])
def test_resampling_keeps_the_level_of_the_band_and_the_duration(tmp_path: Path, rate: int) -> None:
    path = write_wav(tmp_path / "a.wav", sine(1000, 2, rate) * FULL_SCALE, rate)
    samples = samples_of(path)
    assert abs(len(samples) - 16000) <= 1
    level = level_db(samples[2000:-2000] / FULL_SCALE, 1000)
    assert level == pytest.approx(20 * np.log10(0.5), abs=0.1)


def test_resampling_leaves_no_aliases(tmp_path: Path) -> None:
    """A 6 kHz tone would be heard at 2 kHz."""
    path = write_wav(tmp_path / "a.wav", sine(6000, 2, 44100, peak=0.9) * FULL_SCALE, 44100)
    samples = samples_of(path)[2000:-2000] / FULL_SCALE
    assert level_db(samples, 2000) < -80
    assert np.abs(samples).max() < 10 ** (-80 / 20)


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("mp3", ("-b:a", "128k")),
        ("ogg", ("-c:a", "libvorbis")),
        ("opus", ("-c:a", "libopus")),
        ("flac", ()),
        ("m4a", ("-c:a", "aac")),
        ("aiff", ()),
    ],
)
def test_other_formats_come_through_ffmpeg(tmp_path: Path, ffmpeg: str, extension: str, options) -> None:
    source = write_wav(tmp_path / "source.wav", sine(1000, 1, 44100) * FULL_SCALE, 44100)
    path = convert(ffmpeg, source, tmp_path / f"a.{extension}", *options)
    decoded = decode_file(path)
    samples = from_bytes(decoded.pcm)
    assert len(samples) == pytest.approx(8000, abs=800)  # lossy codecs pad
    assert level_db(samples[1600:6400] / FULL_SCALE, 1000) == pytest.approx(20 * np.log10(0.5), abs=0.5)
    assert decoded.source.startswith(extension.upper())


def test_without_ffmpeg_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp3").write_bytes(b"\xff\xfb\x90\x00" + bytes(400))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PromptError, match="needs ffmpeg and ffprobe, not found here: install ffmpeg, or convert"):
        decode_file(tmp_path / "a.mp3")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.wav", b"", "is empty"),
        ("a.mp3", b"", "is empty"),
        ("a.ulaw", b"", "is empty"),
        ("a.pcm", b"\x01\x02\x03", "not 16-bit PCM: 3 bytes"),
        ("a.wav", b"this is no sound at all", "is not a WAV file"),
        ("a.wav", b"RIFF\x24\x00\x00\x00WAVE", "ends before its data"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_what_is_wrong(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PromptError, match=why):
        decode_file(tmp_path / name)


def test_a_file_cut_short_is_not_played_in_part(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(8000))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PromptError, match="promises 16000 bytes of sound, 15900 are there"):
        decode_file(path)


def test_a_file_that_ffmpeg_cannot_decode_is_an_error_in_its_words(tmp_path: Path, ffmpeg: str) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"this is no sound at all, whatever its name says" * 20)
    with pytest.raises(PromptError, match="cannot be decoded by ffmpeg: ") as caught:
        decode_file(path)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(100))
    path.chmod(0)
    with pytest.raises(PromptError, match="cannot be read: Permission denied"):
        decode_file(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="cannot be read: No such file or directory"):
        decode_file(tmp_path / "a.wav")
