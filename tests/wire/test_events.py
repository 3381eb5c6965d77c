"""Audio events and the speech detectors that they are fed to."""

import numpy as np
import pytest

from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.wire.events import Audio, FrameLevels
from tests.sound import voice

FRAMES = [to_bytes(frame) for frame in voice(8000).reshape(-1, 160)]


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("tone", [False, True])
def test_a_detector_finds_speech_unless_the_audio_is_a_dtmf_tone(batched: bool, tone: bool) -> None:
    detector = VoiceActivityDetector()
    levels = FrameLevels(np.stack([from_bytes(frame) for frame in FRAMES])) if batched else None
    audio = [Audio(frame, levels=levels, row=row) for row, frame in enumerate(FRAMES)]
    assert any(each.feed_to(detector, tone) for each in audio) is not tone


def test_a_detector_that_got_the_audio_in_its_batch_does_not_get_it_again() -> None:
    detector, other = VoiceActivityDetector(), VoiceActivityDetector()
    for frame in FRAMES:
        Audio(frame).feed_to(detector, tone=False)
    frames, speaking = detector.frames, detector.speaking
    assert Audio(bytes(320), fed=(other, detector)).feed_to(detector, tone=False) is speaking is True
    assert detector.frames == frames == len(FRAMES)


def test_the_power_of_a_frame_is_that_of_its_row() -> None:
    batch = FrameLevels(np.stack([np.full(160, level, np.int16) for level in (0, 100, -30_000)]))
    assert [Audio(b"", levels=batch, row=row).power for row in range(3)] == [0.0, 10_000.0, 9e8]
    assert Audio(FRAMES[0]).power is None


def test_levels_are_those_of_each_frame() -> None:
    rows = np.array([[0] * 160, [5] + [0] * 158 + [-7], [32767] * 160, [-32768] * 160], np.int16)
    levels = FrameLevels(rows)
    assert levels.energies.tolist() == [0, 25 + 49, 160 * 32767**2, 160 * 32768**2]
    assert levels.powers.tolist() == [energy / 160 for energy in levels.energies]
