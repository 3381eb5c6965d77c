"""Sound files of every kind to 8 kHz, held against other implementations and against what was put in."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.audio.pcm import FULL_SCALE, from_bytes, to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decode import PcmKind, decode_file
from tests.project import ROOT
from tests.sound import convert, level_db, read_wav, sine, speechlike, write_wav


def samples_of(path: Path) -> np.ndarray:
    return from_bytes(decode_file(path).pcm)


def test_8_khz_16_bit_mono_passes_bit_exact(tmp_path: Path) -> None:
    samples = speechlike(12345)
    decoded = decode_file(write_wav(tmp_path / "a.wav", samples))
    assert decoded.pcm == to_bytes(samples)
    assert decoded.source == "WAV 8000 Hz 16-bit mono"


@pytest.mark.parametrize("extension", ["pcm", "raw", "sln", "sln8", "slin", "SLN"])
def test_headerless_pcm_passes_bit_exact(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_bytes(to_bytes(speechlike(1000)))
    decoded = decode_file(path)
    assert (decoded.pcm, decoded.warnings) == (to_bytes(speechlike(1000)), ())


def test_headerless_sound_that_is_read_as_noise_is_told_of(tmp_path: Path) -> None:
    path, samples = tmp_path / "a.raw", read_wav(ROOT / "prompts/welcome.wav")
    path.write_bytes(samples.astype(">i2").tobytes())
    told = "is noise as 16-bit PCM: its bytes look like 16-bit PCM in big-endian order. Convert it to WAV"
    assert decode_file(path).warnings == (told,)
    path.write_bytes(to_bytes(samples))
    assert decode_file(path).warnings == ()


@pytest.mark.parametrize("kilohertz", [12, 16, 24, 32, 44.1, 48, 96, 192])
def test_asterisk_s_linear_kinds_tell_their_rate(tmp_path: Path, kilohertz: float) -> None:
    path = tmp_path / f"a.sln{int(kilohertz)}"
    path.write_bytes(to_bytes((sine(1000, 1, int(kilohertz * 1000)) * FULL_SCALE).astype(np.int16)))
    samples = samples_of(path)
    assert len(samples) == pytest.approx(8000, abs=1)
    assert level_db(samples[1000:7000] / FULL_SCALE, 1000) == pytest.approx(20 * np.log10(0.5), abs=0.1)


@pytest.mark.parametrize(
    ("extension", "encode", "decode"),
    [
        *((name, g711.mulaw_encode, g711.mulaw_decode) for name in ("ulaw", "ul", "mulaw", "mu", "ulw")),
        *((name, g711.alaw_encode, g711.alaw_decode) for name in ("alaw", "al", "alw")),
    ],
)
def test_headerless_companded_audio_is_expanded(tmp_path: Path, extension, encode, decode) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_bytes(encode(speechlike(1000)))
    assert (samples_of(path) == decode(encode(speechlike(1000)))).all()


@pytest.mark.parametrize(
    ("setting", "mulaw", "warned"), [("auto", True, True), ("mulaw", True, False), ("linear", False, False)]
)
def test_asterisk_s_pcm_is_mu_law(tmp_path: Path, setting: PcmKind, mulaw: bool, warned: bool) -> None:
    codes = g711.mulaw_encode((sine(400, 1, 8000) * FULL_SCALE).astype(np.int16))
    (tmp_path / "a.pcm").write_bytes(codes)
    decoded = decode_file(tmp_path / "a.pcm", pcm=setting)
    assert decoded.pcm == (to_bytes(g711.mulaw_decode(codes)) if mulaw else codes)
    taken = ("is played as µ-law, as Asterisk writes it: its samples look like that (see prompts.pcm)",)
    assert decoded.warnings == (taken if warned else ())


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
        ("adpcm_ima_wav", 8192),
        ("adpcm_ms", 8192),
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


RATES = {"wma": 44100, "amr": 8000, "awb": 16000, "spx": 16000, "g722": 16000, "g726-32": 8000, "opus": 48000}
VOCODERS = {"amr", "awb"}  # made for speech: a tone comes out at another level
LOSSLESS = {"flac", "aiff", "aif", "caf", "au", "snd", "w64"}


@pytest.mark.parametrize(
    ("extension", "options", "source"),
    [
        ("mp3", ("-b:a", "128k"), "MP3"),
        ("mp2", (), "MP2"),
        ("ogg", ("-c:a", "libvorbis"), "VORBIS"),
        ("opus", ("-c:a", "libopus"), "OPUS"),
        ("spx", ("-c:a", "libspeex", "-f", "ogg"), "SPEEX"),
        ("flac", (), "FLAC"),
        ("m4a", ("-c:a", "aac"), "AAC"),
        ("m4b", ("-c:a", "aac", "-f", "ipod"), "AAC"),
        ("mov", ("-c:a", "aac"), "AAC"),
        ("aac", ("-c:a", "aac"), "AAC"),
        ("wma", ("-c:a", "wmav2", "-f", "asf"), "WMAV2"),
        ("webm", ("-c:a", "libopus"), "OPUS"),
        ("weba", ("-c:a", "libopus", "-f", "webm"), "OPUS"),
        ("mkv", ("-c:a", "aac"), "AAC"),
        ("amr", ("-c:a", "libopencore_amrnb", "-b:a", "12.2k"), "AMR_NB"),
        ("awb", ("-c:a", "libvo_amrwbenc", "-f", "amr"), "AMR_WB"),
        ("3gp", ("-c:a", "aac"), "AAC"),
        ("aiff", (), "AIFF"),
        ("caf", (), "CAF"),
        ("au", (), "AU"),
        ("snd", ("-f", "au"), "AU"),
        ("w64", (), "W64"),
        ("g722", (), "ADPCM_G722"),
        ("g726-32", ("-c:a", "g726le", "-b:a", "32k", "-f", "g726le"), "ADPCM_G726LE"),
        ("rf64", ("-rf64", "always", "-f", "wav"), "WAV"),
        ("wav16", ("-f", "wav"), "WAV"),
    ],
)
def test_every_kind_keeps_level_and_length(
    tmp_path: Path, ffmpeg: str, extension: str, options: tuple[str, ...], source: str
) -> None:
    rate = RATES.get(extension, 44100)
    original = write_wav(tmp_path / "source.wav", sine(1000, 1, rate) * FULL_SCALE, rate)
    decoded = decode_file(convert(ffmpeg, original, tmp_path / f"a.{extension}", *options))
    samples = from_bytes(decoded.pcm)
    assert len(samples) == pytest.approx(8000, abs=2 if extension in LOSSLESS else 1200)  # lossy ones pad
    assert level_db(samples[1600:6400] / FULL_SCALE, 1000) == pytest.approx(
        20 * np.log10(0.5), abs=6 if extension in VOCODERS else 1
    )
    assert decoded.source.startswith(source)


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_g726_of_every_rate(tmp_path: Path, ffmpeg: str, bits: int) -> None:
    original = write_wav(tmp_path / "source.wav", sine(500, 1, 8000) * FULL_SCALE)
    coded = tmp_path / f"a.g726-{8 * bits}"
    convert(ffmpeg, original, coded, "-c:a", "g726le", "-code_size", str(bits), "-f", "g726le")
    samples = samples_of(coded)
    assert len(samples) == pytest.approx(8000, abs=8)
    assert level_db(samples[1600:6400] / FULL_SCALE, 500) == pytest.approx(20 * np.log10(0.5), abs=1.5)


def test_gsm_as_short_as_it_comes(tmp_path: Path) -> None:
    """FFmpeg's own look at so short a file takes it for a film."""
    frame = bytes.fromhex(
        "d8 20 a2 e1 5a 50 00 49 24 92 49 24 50 00 49 24 92 49 24 50 00 49 24 92 49 24 50 00 49 24 92 49 24"
    )
    (tmp_path / "a.gsm").write_bytes(frame * 10)
    decoded = decode_file(tmp_path / "a.gsm")
    assert (len(decoded.pcm), decoded.source, decoded.warnings) == (10 * 320, "GSM 8000 Hz mono", ())


def test_g729_has_ten_milliseconds_in_ten_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.g729").write_bytes(bytes.fromhex("7852800a fac1 0000 fad6") * 50)
    decoded = decode_file(tmp_path / "a.g729")
    assert (len(decoded.pcm), decoded.source) == (50 * 160, "G729 8000 Hz mono")


def encode_vox(samples: np.ndarray) -> bytes:
    """Dialogic ADPCM, as its application note of 1988 has it: two codes of 4 bits a byte, the first one high."""
    steps = [int(16 * 1.1**n) for n in range(49)]
    moves, last, index, codes = (-1, -1, -1, -1, 2, 4, 6, 8), 0, 0, []
    for sample in (samples // 16).tolist():
        step, difference = steps[index], abs(sample - last)
        code = 0
        for bit, part in ((4, step), (2, step // 2), (1, step // 4)):
            if difference >= part:
                code, difference = code | bit, difference - part
        change = (
            step // 8 + (step if code & 4 else 0) + (step // 2 if code & 2 else 0) + (step // 4 if code & 1 else 0)
        )
        negative = sample < last
        last = max(-2048, min(2047, last - change if negative else last + change))
        index = max(0, min(48, index + moves[code]))
        codes.append(code | (8 if negative else 0))
    return bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2], strict=True))


def test_vox_is_dialogic_adpcm(tmp_path: Path) -> None:
    sound = (sine(400, 1, 8000) * FULL_SCALE).astype(np.int16)
    (tmp_path / "a.vox").write_bytes(encode_vox(sound))
    samples = samples_of(tmp_path / "a.vox")
    assert len(samples) == 8000
    assert np.abs(samples[100:].astype(int) - sound[100:]).max() < 2500


@pytest.mark.parametrize(
    ("rate", "extension", "options"),
    [
        *((rate, "mp3", ("-b:a", "32k")) for rate in (8000, 22050, 44100)),
        (44100, "m4a", ("-c:a", "aac")),
        (48000, "opus", ("-c:a", "libopus")),
        (44100, "ogg", ("-c:a", "libvorbis")),
    ],
)
def test_what_tells_its_padding_is_gapless(
    tmp_path: Path, ffmpeg: str, rate: int, extension: str, options: tuple[str, ...]
) -> None:
    tone = sine(440, 1.7, rate)
    sound = np.where(np.arange(len(tone)) < rate // 2, tone, tone / 8)  # a step of the level at half a second
    original = write_wav(tmp_path / "source.wav", sound * FULL_SCALE, rate)
    decoded = decode_file(convert(ffmpeg, original, tmp_path / f"a.{extension}", *options))
    samples = from_bytes(decoded.pcm) / FULL_SCALE
    assert len(samples) == pytest.approx(1.7 * 8000, abs=2)
    assert not decoded.warnings
    assert np.abs(samples[200:3800]).max() > 0.4
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    assert loud[-1] == pytest.approx(4000, abs=80)


@pytest.mark.parametrize(
    ("extension", "options", "codec"),
    [
        ("aac", ("-c:a", "aac"), "AAC"),
        ("wma", ("-c:a", "wmav2", "-f", "asf"), "WMA"),
        ("mp3", ("-b:a", "32k", "-write_xing", "0"), "MP3"),
    ],
)
def test_what_does_not_tell_its_padding_says_what_to_do(
    tmp_path: Path, ffmpeg: str, extension: str, options: tuple[str, ...], codec: str
) -> None:
    original = write_wav(tmp_path / "source.wav", sine(440, 1, 44100) * FULL_SCALE, 44100)
    decoded = decode_file(convert(ffmpeg, original, tmp_path / f"a.{extension}", *options))
    (warning,) = decoded.warnings
    assert warning.startswith(f"has some silence at its ends, as {codec} has")
    assert warning.endswith("convert the original to WAV or FLAC")


def test_adpcm_ends_where_its_fact_chunk_says(tmp_path: Path, ffmpeg: str) -> None:
    """Its blocks are of 1017 samples and more, so the last one is filled up."""
    original = write_wav(tmp_path / "source.wav", speechlike(6800))
    path = convert(ffmpeg, original, tmp_path / "a.wav", "-c:a", "adpcm_ima_wav")
    content = path.read_bytes()
    at = content.index(b"fact") + 8
    path.write_bytes(content[:at] + (6800).to_bytes(4, "little") + content[at + 4 :])
    decoded = decode_file(path)
    assert (len(decoded.pcm), decoded.warnings) == (2 * 6800, ())


@pytest.mark.parametrize(("codec", "name"), [("adpcm_ima_wav", "IMA ADPCM"), ("adpcm_ms", "Microsoft ADPCM")])
@pytest.mark.parametrize(("seconds", "rate"), [(0.85, 8000), (4.13, 44100)])
def test_adpcm_is_played_without_the_silence_that_fills_its_last_block(
    tmp_path: Path, ffmpeg: str, codec: str, name: str, seconds: float, rate: int
) -> None:
    """FFmpeg's `fact` chunk counts the filling, so that only the samples tell where the sound ends."""
    original = write_wav(tmp_path / "source.wav", sine(440, seconds, rate) * FULL_SCALE, rate)
    decoded = decode_file(convert(ffmpeg, original, tmp_path / "a.wav", "-c:a", codec))
    assert len(decoded.pcm) / 16_000 == pytest.approx(seconds, abs=0.01)
    (warning,) = decoded.warnings
    assert re.fullmatch(rf"ends with \d+ ms of silence that fill {name}'s last block: left out", warning)


def test_silence_before_the_last_block_of_adpcm_is_meant(tmp_path: Path, ffmpeg: str) -> None:
    original = write_wav(tmp_path / "source.wav", np.r_[sine(440, 1, 8000), np.zeros(16_000)] * FULL_SCALE)
    decoded = decode_file(convert(ffmpeg, original, tmp_path / "a.wav", "-c:a", "adpcm_ima_wav"))
    assert len(decoded.pcm) / 16_000 > 2.75


@pytest.mark.parametrize("name", ["a.wav", "a.sln", "a.ulaw", "a.pcm", "a.gsm"])
def test_a_file_is_what_it_holds_and_not_what_it_is_called(tmp_path: Path, ffmpeg: str, name: str) -> None:
    original = write_wav(tmp_path / "source.wav", sine(1000, 1, 44100) * FULL_SCALE, 44100)
    convert(ffmpeg, original, tmp_path / "a.mp3").rename(tmp_path / name)
    decoded = decode_file(tmp_path / name)
    assert decoded.source == "MP3 44100 Hz mono"
    assert decoded.warnings == ("is MP3, whatever its name says",)
    assert len(decoded.pcm) == pytest.approx(16_000, abs=4)


@pytest.mark.parametrize("name", ["a.sln", "a.mp3", "a.gsm"])
def test_a_wav_file_under_another_name(tmp_path: Path, name: str) -> None:
    write_wav(tmp_path / name, speechlike(800))
    decoded = decode_file(tmp_path / name)
    assert decoded.pcm == to_bytes(speechlike(800))
    assert decoded.warnings == (() if name == "a.mp3" else ("is WAV, whatever its name says",))


@pytest.mark.parametrize(
    "name", ["a.wav", "a.mp3", "a.ulaw", "a.sln", "a.pcm", "a.gsm", "a.g722", "a.vox", "a.m4a", "a.flac"]
)
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html><html><title>403</title></html>\n" * 4, "an HTML page"),
        (b'{"error": {"message": "quota exceeded"}}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n", "a pointer of Git LFS"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
    ],
)
def test_what_is_no_sound_is_refused_by_its_true_name(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PromptError, match=f"^is {kind}.*not sound$"):
        decode_file(tmp_path / name)


def test_a_film_without_sound_is_told(tmp_path: Path, ffmpeg: str) -> None:
    path = tmp_path / "a.mp4"
    command = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=s=16x16:d=0.2", str(path)]
    subprocess.run(command, check=True)
    with pytest.raises(PromptError, match=r"^has pictures and no sound$"):
        decode_file(path)


def test_wav_files_that_were_joined_are_played_one_after_another(tmp_path: Path) -> None:
    parts = [write_wav(tmp_path / f"{seed}.wav", speechlike(801, seed)).read_bytes() for seed in (1, 2, 3)]
    (tmp_path / "a.wav").write_bytes(b"".join(parts))
    decoded = decode_file(tmp_path / "a.wav")
    assert decoded.pcm == b"".join(to_bytes(speechlike(801, seed)) for seed in (1, 2, 3))
    assert decoded.warnings == ("is 3 WAV files joined end to end: all are played",)


def test_an_id3_tag_before_riff_is_passed_over(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(800))
    path.write_bytes(b"ID3\x04\0\0\0\0\x01\0" + bytes(128) + path.read_bytes())
    decoded = decode_file(path)
    assert decoded.pcm == to_bytes(speechlike(800))
    assert decoded.warnings == ("has an ID3 tag before its RIFF header",)


@pytest.mark.parametrize("name", ["a.ulaw", "a.sln", "a.gsm", "a.wav"])
def test_a_prompt_may_be_empty(tmp_path: Path, name: str) -> None:
    if name == "a.wav":
        write_wav(tmp_path / name, speechlike(0))
    else:
        (tmp_path / name).touch()
    decoded = decode_file(tmp_path / name)
    assert (decoded.pcm, decoded.peak_dbfs) == (b"", SILENCE_DB)
    assert decoded.warnings == ("is empty: nothing is heard where it is played",)


def test_a_damaged_packet_is_left_out_and_told(tmp_path: Path, ffmpeg: str) -> None:
    original = write_wav(tmp_path / "source.wav", sine(440, 4, 44100) * FULL_SCALE, 44100)
    path = convert(ffmpeg, original, tmp_path / "a.m4a", "-c:a", "aac")
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + 9000
    content[middle : middle + 600] = b"\xff" * 600
    path.write_bytes(content)
    decoded = decode_file(path)
    assert len(decoded.pcm) > 16_000 * 3
    assert any("packets of it could not be decoded" in warning for warning in decoded.warnings)


def test_without_ffmpeg_all_is_decoded_but_what_only_it_can(
    tmp_path: Path, ffmpeg: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = write_wav(tmp_path / "source.wav", sine(440, 1, 44100) * FULL_SCALE, 44100)
    path = convert(ffmpeg, original, tmp_path / "a.mp3")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(decode_file(path).pcm) == pytest.approx(16_000, abs=4)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.wav", b"", "is empty"),
        ("a.mp3", b"", "is empty"),
        ("a.m4a", b"", "is empty"),
        ("a.wav", b"\x01\x02\x03" * 10, "is not a WAV file"),
        ("a.mp3", b"\x01\x02\x03" * 10, "^cannot be decoded by FFmpeg: invalid data found when processing input$"),
        ("a.wav", b"RIFF\x24\x00\x00\x00WAVE", "ends before its data"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_what_is_wrong(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PromptError, match=why):
        decode_file(tmp_path / name)


def test_a_file_cut_short_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(8000))
    path.write_bytes(path.read_bytes()[:-100])
    decoded = decode_file(path)
    assert decoded.pcm == to_bytes(speechlike(8000))[:-100]
    assert decoded.warnings == ("is cut short: its header promises 16000 bytes of sound, 15900 are there",)


def test_no_file_makes_the_decoder_open_another(tmp_path: Path) -> None:
    """Demuxers of playlists would open what is named there."""
    write_wav(tmp_path / "other.wav", speechlike(800))
    (tmp_path / "a.mp3").write_bytes(b"ffconcat version 1.0\nfile other.wav\n")
    with pytest.raises(PromptError, match=r"^is text, not sound$"):
        decode_file(tmp_path / "a.mp3")
    (tmp_path / "b.mp3").write_bytes(b"ffconcat version 1.0\nfile other.wav\n\x01")
    with pytest.raises(PromptError, match=r"^cannot be decoded by FFmpeg: "):
        decode_file(tmp_path / "b.mp3")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(100))
    path.chmod(0)
    with pytest.raises(PromptError, match="cannot be read: Permission denied"):
        decode_file(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="cannot be read: No such file or directory"):
        decode_file(tmp_path / "a.wav")
