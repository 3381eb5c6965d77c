"""How strong an echo can be, by what was sent."""

import numpy as np
import pytest

from mediaserver.audio.detection.echo_bound import ECHO_FRAMES, EchoBound, push_all
from mediaserver.audio.detection.spectrum import BANDS, band_powers
from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from tests.sound import voice

SENT = to_bytes(voice(160 * 40))


def test_nothing_sent_has_no_echo() -> None:
    bound = EchoBound()
    assert not bound.strongest().any()
    push_all([bound], [b""])
    assert not bound.strongest().any()


def test_the_bound_is_19_db_below_the_strongest_frame_and_forgets_after_560_ms() -> None:
    bound = EchoBound()
    push_all([bound], [SENT[: 5 * FRAME_BYTES]])
    window = np.frombuffer(SENT, "<i2")[: 5 * 160].astype(float)
    powers = band_powers(np.stack([np.concatenate((np.zeros(96), window))[n * 160 :][:256] for n in range(5)]))
    assert 10 * np.log10(bound.strongest() / powers.max(axis=0)) == pytest.approx(np.full(BANDS, -19.0))
    for _ in range(ECHO_FRAMES):
        push_all([bound], [bytes(FRAME_BYTES)])
    assert bound.strongest().any()  # the window of the first silent frame begins in the sound
    push_all([bound], [bytes(FRAME_BYTES)])
    assert not bound.strongest().any()


def test_frames_may_come_one_by_one_or_together() -> None:
    one, together = EchoBound(), EchoBound()
    for at in range(0, len(SENT), FRAME_BYTES):
        push_all([one], [SENT[at : at + FRAME_BYTES]])
    push_all([together], [SENT[: 20 * FRAME_BYTES]])
    push_all([together], [SENT[20 * FRAME_BYTES :]])
    assert one.strongest() == pytest.approx(together.strongest())


def test_of_more_frames_than_matter_the_last_ones_count() -> None:
    some, all_of_them = EchoBound(), EchoBound()
    push_all([all_of_them], [SENT])
    push_all([some], [SENT[-ECHO_FRAMES * FRAME_BYTES :]])
    assert some.strongest() == pytest.approx(all_of_them.strongest())


def test_sound_before_the_frames_that_matter_does_not_count() -> None:
    loud, soft = SENT[:FRAME_BYTES], to_bytes(voice(160 * (ECHO_FRAMES + 1)) // 100)
    bound, fresh = EchoBound(), EchoBound()
    push_all([bound], [loud])
    push_all([bound], [soft])
    push_all([fresh], [soft])
    assert bound.strongest() == pytest.approx(fresh.strongest())


def test_sound_that_was_sent_long_ago_has_no_echo_in_a_later_one() -> None:
    bound, fresh, soft = EchoBound(), EchoBound(), to_bytes(voice(160) // 100)
    push_all([bound], [SENT[: 5 * FRAME_BYTES]])
    for _ in range(ECHO_FRAMES):
        push_all([bound], [bytes(FRAME_BYTES)])
    assert push_all([bound], [soft]) == pytest.approx(push_all([fresh], [soft]))


def test_each_stream_has_the_echo_of_what_was_sent_to_it() -> None:
    bounds, alone = [EchoBound() for _ in range(3)], [EchoBound() for _ in range(3)]
    pcm = [SENT[: 3 * FRAME_BYTES], b"", SENT[FRAME_BYTES : 3 * FRAME_BYTES]]
    together = push_all(bounds, pcm)
    assert together.shape == (3, BANDS)
    for found, one, sent in zip(together, alone, pcm, strict=True):
        assert found == pytest.approx(push_all([one], [sent])[0], rel=1e-3)


def test_silence_that_lasts_is_no_echo_and_sound_after_it_is_one() -> None:
    some, none = EchoBound(), EchoBound()
    push_all([some], [bytes(100 * FRAME_BYTES)])
    assert not some.strongest().any()
    assert push_all([some], [SENT[: 2 * FRAME_BYTES]]) == pytest.approx(
        push_all([none], [SENT[: 2 * FRAME_BYTES]])
    )
    push_all([some], [bytes((ECHO_FRAMES + 1) * FRAME_BYTES)])
    assert not some.strongest().any()
