"""Where talkspurts begin and end, frame by frame."""

import numpy as np
import pytest

from mediaserver.audio.detection.speech_detector import SpeechDetector, detect_speech
from mediaserver.audio.detection.vad import HANGOVER_FRAMES, VoiceActivityDetector
from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from mediaserver.audio.tone_plans import TONE_PLANS
from tests.audio.detection.test_speech_detector import SECOND, hum, line, noise, spoken, tone
from tests.project import ROOT
from tests.sound import read_wav, speechlike, voice

QUIET = bytes(FRAME_BYTES)
VOICE = to_bytes(voice(160 * 30))


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]


@pytest.mark.parametrize("hangover", [HANGOVER_FRAMES, 1, 7])
def test_a_voice_begins_a_talkspurt_and_a_run_of_frames_without_ends_it(hangover: int) -> None:
    detector = VoiceActivityDetector(hangover=hangover)
    for _ in range(20):
        assert not detector.feed(QUIET)
    begun = [detector.feed(frame) for frame in frames(VOICE)]
    first = begun.index(True)
    assert 1 <= first <= 4
    assert detector.began_frame == 21
    if hangover > 5:
        assert all(begun[first:])
    last = detector.last_voiced_frame
    assert 45 <= last <= 51  # the window of the first frame of silence holds the end of the voice
    while detector.feed(QUIET):
        pass
    assert detector.frames == max(51, last + hangover)
    if hangover > 5:
        assert detector.voiced == detector.frames - 20 - first - 1


def test_a_click_begins_no_talkspurt_and_a_breath_ends_none() -> None:
    detector = VoiceActivityDetector()
    click = np.zeros(160, np.int16)
    click[:60] = 8000
    for _ in range(10):
        for frame in (to_bytes(click), *[QUIET] * 10):
            assert not detector.feed(frame)
    assert detector.voiced == 0
    detector.feed(VOICE)
    for _ in range(3):
        for frame in (*[QUIET] * (HANGOVER_FRAMES - 3), *frames(VOICE)[:5]):
            assert detector.feed(frame)


def test_a_stream_may_begin_in_the_middle_of_a_word() -> None:
    detector = VoiceActivityDetector()
    begun = [detector.feed(frame) for frame in frames(VOICE[7 * FRAME_BYTES :])]
    assert begun.index(True) <= 4


@pytest.mark.parametrize("dbfs", [-50, -30])
def test_noise_is_no_talkspurt_from_its_first_frame_on(dbfs: float) -> None:
    sound = np.random.default_rng(1).normal(0, 32768 / np.sqrt(2) * 10 ** (dbfs / 20), 160 * 300)
    detector = VoiceActivityDetector(0)
    assert not any(detector.feed(frame) for frame in frames(to_bytes(sound.astype(np.int16))))
    assert not any(
        detector.feed(frame) for frame in frames(to_bytes((speechlike(160 * 100) // 8).astype(np.int16)))
    )


def test_sound_may_come_in_pieces_of_any_size() -> None:
    sound = VOICE + QUIET * 25
    whole, pieces = VoiceActivityDetector(), VoiceActivityDetector()
    whole.feed(sound)
    for at in range(0, len(sound), 138):
        pieces.feed(sound[at : at + 138])
    assert (whole.frames, whole.speaking) == (55, False)
    for name in ("frames", "voiced", "last_voiced_frame", "speaking"):
        assert getattr(pieces, name) == getattr(whole, name)


def test_a_dtmf_tone_is_not_speech() -> None:
    detector = VoiceActivityDetector()
    assert not any(detector.feed(frame, tone=True) for frame in frames(VOICE))
    assert (detector.frames, detector.last_voiced_frame) == (30, 0)


@pytest.mark.parametrize(("dbfs", "speaking"), [(-48, True), (-62, False)])
def test_audio_below_the_noise_floor_is_not_speech(dbfs: float, speaking: bool) -> None:
    signal = voice(160 * 30).astype(float)
    signal *= 32768 / np.sqrt(2) * 10 ** (dbfs / 20) / signal.std()
    detector = VoiceActivityDetector(mode=0)
    assert any(detector.feed(frame) for frame in frames(to_bytes(np.rint(signal).astype(np.int16)))) is speaking


def test_higher_modes_take_less_for_speech() -> None:
    detectors = [VoiceActivityDetector(mode) for mode in (0, 1, 2, 3)]
    first = [[each.feed(frame) for frame in frames(VOICE)].index(True) for each in detectors]
    assert first == sorted(first)
    assert first[0] < first[3]


def test_while_an_echo_may_come_a_talkspurt_takes_as_much_evidence_as_stops_a_prompt() -> None:
    silent, echoing, stops = (
        VoiceActivityDetector(),
        VoiceActivityDetector(may_echo=lambda: True),
        SpeechDetector(),
    )
    stops.feed(QUIET)
    begun = [
        [False, *(detector.feed(frame) for frame in frames(VOICE))].index(True)
        for detector in (silent, echoing, stops)
    ]
    assert begun[0] < begun[1] == begun[2]


def test_talkspurts_are_the_same_for_streams_that_are_heard_together() -> None:
    sounds = [frames(QUIET * quiet + VOICE + QUIET * 40) for quiet in (0, 5, 11)]
    alone, together = ([VoiceActivityDetector() for _ in sounds] for _ in range(2))
    for present in zip(*sounds, strict=False):
        samples = np.stack([np.frombuffer(frame, "<i2") for frame in present])
        powers = (samples.astype(float) ** 2).mean(axis=1)
        detect_speech(together, samples, powers, [False] * len(sounds))
        for one, other, frame in zip(alone, together, present, strict=True):
            assert one.feed(frame) is other.speaking
            assert (one.voiced, one.last_voiced_frame) == (other.voiced, other.last_voiced_frame)
    assert all(0 < one.voiced < one.frames for one in alone)


# -- measured: what begins talkspurts, and when they end --------------------------------------------------------


def talkspurts(sound: np.ndarray, hangover: int = 35) -> list[tuple[int, int]]:
    """The first frame of each talkspurt, as it is told, and the frame that ends it, counted from 0."""
    detector, found, began = VoiceActivityDetector(hangover=hangover), [], None
    for number, frame in enumerate(line(sound)):
        if detector.feed(frame) and began is None:
            began = number
        elif not detector.speaking and began is not None:
            found.append((began, number))
            began = None
    return found if began is None else [*found, (began, -1)]


@pytest.mark.parametrize("pitch", [95, 120, 180, 240])
@pytest.mark.parametrize("snr", [5, 15, 25])
def test_a_talkspurt_begins_within_200_ms_of_a_voice_and_ends_within_60_ms_of_its_hangover(
    snr: float, pitch: float
) -> None:
    quiet = np.zeros(SECOND)
    sound = np.concatenate((quiet, quiet, spoken(-26, 1, pitch), quiet, quiet))
    ((began, ended),) = talkspurts(sound + noise(-26 - snr, 5))
    assert 100 <= began <= 109
    assert 150 + 35 - 6 <= ended <= 150 + 35 + 3


@pytest.mark.parametrize("snr", [5, 15, 25])
def test_a_pause_between_words_ends_no_talkspurt_and_a_longer_one_does(snr: float) -> None:
    quiet = np.zeros(SECOND)
    for ms, count in ((300, 1), (600, 1), (900, 2)):
        words = np.concatenate((quiet, spoken(-26, 0.5), np.zeros(8 * ms), spoken(-26, 0.5, 150), quiet))
        assert len(talkspurts(words + noise(-26 - snr, len(words) / SECOND))) == count


@pytest.mark.parametrize("dbfs", [-60, -46, -34])
def test_noise_begins_no_talkspurt(dbfs: float) -> None:
    assert talkspurts(noise(dbfs, 20)) == []


@pytest.mark.parametrize("country", TONE_PLANS)
def test_busy_tones_begin_no_talkspurt(country: str) -> None:
    assert talkspurts(tone(country, "busy", 6)) == []
    assert talkspurts(np.concatenate((np.zeros(SECOND), tone(country, "ringback", 6)))) == []


@pytest.mark.parametrize("hertz", [50, 60])
def test_hum_begins_no_talkspurt(hertz: float) -> None:
    assert talkspurts(hum(hertz, -30, 5) + noise(-65, 5)) == []


@pytest.mark.parametrize("name", ["drift", "hold"])
def test_hold_music_is_speech_for_less_than_half_of_its_time(name: str) -> None:
    music = read_wav(ROOT / f"prompts/music/{name}.wav").astype(float)[: 30 * SECOND]
    frames_of_speech = sum(ended - began for began, ended in talkspurts(music + noise(-65, len(music) / SECOND)))
    assert frames_of_speech * 160 < len(music) / 2
