"""Where speech begins and ends, frame by frame."""

import numpy as np
import pytest

from mediaserver.audio.pcm import FRAME_BYTES, Samples, to_bytes
from mediaserver.audio.vad import HANGOVER_FRAMES, ONSET_FRAMES, VoiceActivityDetector
from tests.sound import speechlike

VOICE = speechlike(160 * 30, 1)
QUIET = bytes(FRAME_BYTES)


def frames(samples: Samples, count: int) -> list[bytes]:
    return [to_bytes(samples[at : at + 160]) for at in range(0, 160 * count, 160)]


@pytest.mark.parametrize(("onset", "hangover"), [(ONSET_FRAMES, HANGOVER_FRAMES), (1, 1), (5, 2)])
def test_onset_and_hangover_are_the_frames_that_begin_and_end_a_talkspurt(onset: int, hangover: int) -> None:
    detector = VoiceActivityDetector(onset=onset, hangover=hangover)
    begun = [detector.feed(frame) for frame in frames(VOICE, 10)]
    assert begun == [False] * (onset - 1) + [True] * (11 - onset)
    assert (detector.frames, detector.voiced, detector.last_voiced_frame) == (10, 11 - onset, 10)
    ended = [detector.feed(QUIET) for _ in range(hangover + 5)]
    assert ended == [True] * (hangover - 1) + [False] * 6
    assert (detector.frames, detector.last_voiced_frame) == (15 + hangover, 10)
    assert detector.voiced == 11 - onset + hangover - 1


def test_a_click_begins_no_talkspurt_and_a_breath_ends_none() -> None:
    detector = VoiceActivityDetector()
    for _ in range(10):
        for frame in (*frames(VOICE, ONSET_FRAMES - 1), QUIET):
            assert detector.feed(frame) is False
    assert detector.voiced == 0
    for frame in frames(VOICE, ONSET_FRAMES):
        detector.feed(frame)
    for _ in range(3):
        for frame in (*[QUIET] * (HANGOVER_FRAMES - 1), *frames(VOICE, 1)):
            assert detector.feed(frame) is True


def test_sound_may_come_in_pieces_of_any_size() -> None:
    sound = to_bytes(VOICE[: 160 * 20]) + QUIET * 25
    whole, pieces = VoiceActivityDetector(), VoiceActivityDetector()
    whole.feed(sound)
    for at in range(0, len(sound), 138):
        pieces.feed(sound[at : at + 138])
    assert (pieces.frames, pieces.voiced, pieces.last_voiced_frame, pieces.speaking) == (45, 37, 20, False)
    assert (whole.frames, whole.voiced, whole.last_voiced_frame, whole.speaking) == (45, 37, 20, False)


def test_a_dtmf_tone_is_not_speech() -> None:
    detector = VoiceActivityDetector()
    assert not any(detector.feed(frame, tone=True) for frame in frames(VOICE, 10))
    assert (detector.frames, detector.last_voiced_frame) == (10, 0)


@pytest.mark.parametrize(("dbfs", "speaking"), [(-50, True), (-60, False)])
def test_audio_below_the_noise_floor_is_not_speech(dbfs: float, speaking: bool) -> None:
    signal = VOICE.astype(float)
    signal *= 32768 / np.sqrt(2) * 10 ** (dbfs / 20) / np.sqrt(np.mean(signal**2))
    detector = VoiceActivityDetector(mode=0, onset=1, hangover=100)
    assert any(detector.feed(frame) for frame in frames(np.rint(signal).astype(np.int16), 30)) is speaking


def test_higher_modes_take_less_for_speech() -> None:
    faint = to_bytes((speechlike(16_000, 1) * 0.03).astype(np.int16))
    detectors = [VoiceActivityDetector(mode) for mode in (0, 2, 3)] + [VoiceActivityDetector()]
    for detector in detectors:
        detector.feed(faint)
    assert [detector.voiced for detector in detectors] == [98, 87, 46, 87]
