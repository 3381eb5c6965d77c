"""G.711 against the recommendation's own values and against an independent implementation, code by code."""

import warnings

import numpy as np
import pytest

from mediaserver.audio import g711

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import audioop

CODES = bytes(range(256))
SAMPLES = np.arange(-32768, 32768).astype(np.int16)


def test_every_mulaw_code_decodes_as_the_reference_does():
    assert g711.mulaw_decode(CODES).astype("<i2").tobytes() == audioop.ulaw2lin(CODES, 2)


def test_every_alaw_code_decodes_as_the_reference_does():
    assert g711.alaw_decode(CODES).astype("<i2").tobytes() == audioop.alaw2lin(CODES, 2)


def test_every_sample_encodes_to_mulaw_as_the_reference_does():
    assert g711.mulaw_encode(SAMPLES) == audioop.lin2ulaw(SAMPLES.astype("<i2").tobytes(), 2)


def test_every_sample_encodes_to_alaw_as_the_reference_does():
    assert g711.alaw_encode(SAMPLES) == audioop.lin2alaw(SAMPLES.astype("<i2").tobytes(), 2)


@pytest.mark.parametrize("samples", [1, 160, 640, 641, len(SAMPLES)])
def test_pcm_is_companded_alike_however_long_it_is(samples: int) -> None:
    for at in range(0, len(SAMPLES), samples) if samples > 1 else range(0, len(SAMPLES), 997):
        part = SAMPLES[at : at + samples]
        assert g711.mulaw_compand(part.astype("<i2").tobytes()) == g711.mulaw_encode(part)
        assert g711.alaw_compand(part.astype("<i2").tobytes()) == g711.alaw_encode(part)


def test_codes_are_expanded_to_the_samples_of_the_tables() -> None:
    assert g711.mulaw_expand(CODES) == g711.MULAW_SAMPLES.astype("<i2").tobytes()
    assert g711.alaw_expand(CODES) == g711.ALAW_SAMPLES.astype("<i2").tobytes()


def test_mulaw_codes_survive_a_round_trip_but_for_the_second_zero():
    assert g711.mulaw_encode(g711.mulaw_decode(CODES)) == CODES.replace(b"\x7f", b"\xff")


def test_alaw_codes_survive_a_round_trip():
    assert g711.alaw_encode(g711.alaw_decode(CODES)) == CODES


@pytest.mark.parametrize(
    ("code", "sample"),
    [
        (0xFF, 0),  # both zeros
        (0x7F, 0),
        (0xFE, 2 * 4),  # the smallest step: 2 of 14 bits
        (0x7E, -2 * 4),
        (0x80, 8031 * 4),  # the outermost values: ±8031 of 14 bits
        (0x00, -8031 * 4),
    ],
)
def test_mulaw_values_of_the_recommendation(code, sample):
    assert g711.mulaw_decode(bytes((code,))).tolist() == [sample]


@pytest.mark.parametrize(
    ("code", "sample"),
    [
        (0xD5, 1 * 8),  # A-law has no zero: ±1 of 13 bits
        (0x55, -1 * 8),
        (0xAA, 4032 * 8),  # the outermost values: ±4032 of 13 bits
        (0x2A, -4032 * 8),
    ],
)
def test_alaw_values_of_the_recommendation(code, sample):
    assert g711.alaw_decode(bytes((code,))).tolist() == [sample]


def test_full_scale_is_clipped_to_the_outermost_code():
    full_scale = np.array([32767, -32768], dtype=np.int16)
    assert g711.mulaw_encode(full_scale) == b"\x80\x00"
    assert g711.alaw_encode(full_scale) == b"\xaa\x2a"


def test_digital_silence():
    silence = np.zeros(3, dtype=np.int16)
    assert g711.mulaw_encode(silence) == b"\xff\xff\xff"
    assert g711.alaw_encode(silence) == b"\xd5\xd5\xd5"


def test_no_bytes_are_no_samples_and_back():
    assert g711.mulaw_decode(b"").tolist() == g711.alaw_decode(b"").tolist() == []
    assert g711.mulaw_encode(SAMPLES[:0]) == g711.alaw_encode(SAMPLES[:0]) == b""


@pytest.mark.parametrize(("loud", "likely"), [(15, True), (16, False)])
def test_bytes_with_more_than_15_percent_of_the_loudest_codes_are_not_taken_for_mulaw(
    loud: int, likely: bool
) -> None:
    """They are alike in neighbouring samples as µ-law, and not alike as linear PCM."""
    soft = np.random.default_rng(1).choice(np.array([0x7E, 0xFE], np.uint8), 2 * (100 - loud)).tobytes()
    data = bytes([0x0F]) * (2 * loud) + soft
    assert g711.looks_like_mulaw(data) is likely
    assert not g711.looks_like_mulaw(data + b"\xfe")  # half a sample of 16 bits
    assert g711.looks_like_mulaw(bytes([0x10]) * 32 + soft)  # which is not one of the loudest


def test_no_bytes_and_silence_are_not_taken_for_mulaw() -> None:
    for data in (b"", bytes(320), b"\xff" * 320):
        assert not g711.looks_like_mulaw(data)
