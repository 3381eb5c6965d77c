"""What a file is by its first bytes, and that headerless sound is never taken for something else."""

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.containers.signatures import id3_bytes, identify
from mediaserver.audio.pcm import to_bytes
from tests.sound import speechlike

MP3 = bytes.fromhex("fffb9064")  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz: 417 bytes a frame
ADTS = bytes.fromhex("fff15080010000")  # a frame of 8 bytes


def mpeg(header: bytes, size: int) -> bytes:
    """A frame of `size` bytes, and the seven bytes of the next frame that tell what it is."""
    return header.ljust(size, b"\0") + header.ljust(7, b"\0")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "WAV"),
        (b"RIFX\0\0\0\0WAVEfmt ", "WAV"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "WAV"),
        (b"FORM\0\0\0\0AIFFCOMM", "AIFF"),
        (b"FORM\0\0\0\0AIFCFVER", "AIFF"),
        (b"\0\0\0\x20ftypM4A ", "MP4"),
        (b"fLaC\0\0\0\x22", "FLAC"),
        (b"OggS\0\x02", "Ogg"),
        (b"#!AMR-WB\n", "AMR"),
        (mpeg(MP3, 417), "MP3"),
        (mpeg(bytes.fromhex("fffb9264"), 418), "MP3"),  # the same with a byte of padding
        (mpeg(bytes.fromhex("fff34800"), 144), "MP3"),  # MPEG 2, 32 kbit/s, 16 kHz
        (mpeg(bytes.fromhex("ffe34800"), 288), "MP3"),  # MPEG 2.5, 32 kbit/s, 8 kHz
        (mpeg(bytes.fromhex("fffe9000"), 312), "MPEG layer I"),  # 288 kbit/s, 44.1 kHz
        (mpeg(bytes.fromhex("fffe9200"), 316), "MPEG layer I"),  # with padding, which has four bytes
        (mpeg(bytes.fromhex("fffd8404"), 384), "MPEG layer II"),
        (mpeg(ADTS, 8), "AAC"),
        (mpeg(bytes.fromhex("fff1508001a000"), 13), "AAC"),
    ],
)
def test_sound_in_containers_is_known(head: bytes, name: str) -> None:
    kind = identify(head)
    assert kind is not None
    assert (kind.name, kind.is_sound) == (name, True)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"<!DOCTYPE html>\n<title>403 Forbidden</title>", "an HTML page"),
        ("\ufeff<html><body>verboten für alle</body>".encode(), "an HTML page"),
        (b"<?xml version='1.0'?><Error/>", "an XML document"),
        (b'{"error": {"message": "no such voice"}}', "JSON"),
        (b'[{"error": "no such voice"}]', "JSON"),
        (b"abcdefg abcdefg ", "text"),  # 16 bytes with 8 different ones are just enough
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"Welcome to our company. Please hold the line.", "text"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"PK\x03\x04\x14\0", "a ZIP archive"),
    ],
)
def test_what_is_no_sound_is_known(head: bytes, name: str) -> None:
    kind = identify(head)
    assert kind is not None
    assert (kind.name.split(" (")[0], kind.is_sound) == (name, False)


@pytest.mark.parametrize(
    "head", [b"abcdefg abcdefg", b"abcdef  abcdef  ", b"abcdefghabcdefgh", b"abcdefg abcdefg\0"]
)
def test_what_is_too_short_or_too_uniform_is_no_text(head: bytes) -> None:
    assert identify(head) is None


def test_a_text_that_is_cut_amid_a_character_is_text() -> None:
    kind = identify(("Grüße an alle, die " * 30 + "ä" * 600).encode()[:512])
    assert kind is not None
    assert kind.name == "text"


@pytest.mark.parametrize("seed", range(20))
def test_headerless_sound_is_not_told_by_its_first_bytes(seed: int) -> None:
    samples = speechlike(8192, seed)
    for data in (to_bytes(samples), g711.mulaw_encode(samples), g711.alaw_encode(samples)):
        assert identify(data[:8192]) is None
    assert identify(bytes([0xFF, 0xFB]) * 400) is None  # µ-law all but silence
    assert identify(MP3 + bytes(800)) is None  # one frame is chance


def test_silence_is_no_text() -> None:
    for byte in (0x00, 0xFF, 0x7F, 0xD5, 0x55):  # A-law's may be a row of U
        assert identify(bytes([byte]) * 800) is None
    assert identify(g711.alaw_encode(np.tile([-8, -24, -40, -56], 200).astype(np.int16))) is None


def test_the_size_of_an_id3_tag() -> None:
    assert id3_bytes(b"ID3\x04\0\0\0\0\x01\x7f" + bytes(300)) == 10 + 255
    assert id3_bytes(b"ID3\x04\0\x10\0\0\0\x01" + bytes(300)) == 10 + 1 + 10
    assert id3_bytes(b"ID3\x04\0\0\xff\0\0\0") == 0
    assert id3_bytes(b"RIFF") == 0


def voice(samples: int, seed: int) -> np.ndarray:
    """Pulses through two resonances, as of a vowel."""
    pulses = np.zeros(samples)
    pulses[:: 60 + seed % 30] = 1
    spectrum, hertz = np.fft.rfft(pulses), np.fft.rfftfreq(samples, 1 / 8000)
    gain = 1 / (1 + ((hertz - 500) / 150) ** 2) + 0.3 / (1 + ((hertz - 1500) / 200) ** 2)
    sound = np.fft.irfft(spectrum * gain, samples)
    return (sound / np.abs(sound).max() * 16000).astype(np.int16)


@pytest.mark.parametrize("seed", range(30))
def test_mu_law_is_told_from_linear_pcm_by_its_samples(seed: int) -> None:
    sound = voice(8000, seed)
    for share in (1, 0.1, 0.01, 0.002):
        assert not g711.looks_like_mulaw(to_bytes((sound * share).astype(np.int16)))
    assert g711.looks_like_mulaw(g711.mulaw_encode(sound))
    assert not g711.looks_like_mulaw(to_bytes(sound))


@pytest.mark.parametrize("hz", [100, 697, 1477, 2000])
def test_a_tone_is_told_as_well(hz: int) -> None:
    sound = (8000 * np.sin(2 * np.pi * hz * np.arange(4000) / 8000)).astype(np.int16)
    assert g711.looks_like_mulaw(g711.mulaw_encode(sound))
    assert not g711.looks_like_mulaw(to_bytes(sound))


@pytest.mark.parametrize(
    "data", [b"", bytes(8000), to_bytes(speechlike(4000))], ids=["nothing", "silence", "noise"]
)
def test_what_cannot_be_told_is_linear(data: bytes) -> None:
    assert not g711.looks_like_mulaw(data)
