"""Concealment of lost audio: what G.711 Appendix I says, what it does for speech, and that nothing clicks."""

import numpy as np
import pytest

from mediaserver.audio.concealment import HISTORY, conceal
from mediaserver.audio.pcm import FRAME_SAMPLES, from_bytes
from tests.audio.measure import RATE, sine16
from tests.project import ROOT
from tests.sound import read_wav, speechlike

FRAME = FRAME_SAMPLES


def periodic(period, size, seed=1):
    """Noise that repeats itself after `period` samples."""
    return np.resize(np.random.default_rng(seed).integers(-20_000, 20_000, period), size).astype(np.int16)


def gap(sound, begin, lost):
    """What conceals `lost` samples of a sound from sample `begin` on, and the 20 ms of it that follow."""
    following = sound[begin + lost : begin + lost + FRAME]
    return [part.astype(float) for part in conceal(sound[:begin], lost, following)]


def level(at):
    """The level of a replacement `at` samples into the loss: full for 10 ms, then a ramp to silence at 60 ms."""
    return np.interp(at, (80, 480), (1, 0))


@pytest.mark.parametrize("period", [40, 53, 87, 120])
@pytest.mark.parametrize("lost", [1, 79, 80, 81, 160, 240, 480, 800])
def test_a_periodic_sound_goes_on_and_fades(period, lost):
    sound = periodic(period, 2000)
    replacement, joined = gap(sound, 600, lost)
    assert abs(replacement - sound[600 : 600 + lost] * level(np.arange(lost))).max() <= 1
    overlap = min(period // 4 + (-(-lost // 80) - 1) * 32, 80)
    fade_in = np.minimum(np.arange(1, FRAME + 1) / overlap, 1)
    following = sound[600 + lost : 600 + lost + FRAME]
    assert abs(joined - following * (fade_in + level(lost) * (1 - fade_in))).max() <= 1
    assert (joined[overlap:] == following[overlap:]).all()


def test_one_period_is_repeated_then_two_then_three():
    """The last three periods differ in level, so that the replacement shows which of them it repeats."""
    period = periodic(100, 100)
    sound = np.concatenate([period // divisor for divisor in (16, 16, 16, 3, 2, 1)])
    replacement, _ = conceal(sound, 480, sound[:0])
    for at, repeated in ((30, 1), (50, 1), (110, 1), (180, 1 / 3), (210, 1 / 2), (310, 1), (410, 1 / 3)):
        part = period[at % 100 : at % 100 + 20] * level(np.arange(at, at + 20))
        assert np.dot(part, replacement[at : at + 20]) / np.dot(part, part) == pytest.approx(repeated, abs=0.01)


def test_a_loss_of_a_second_is_silence_from_60_ms_on_and_the_sound_after_it_fades_in():
    sound = speechlike(2 * RATE)
    replacement, joined = gap(sound, 4000, RATE)
    assert replacement[:480].any()
    assert not replacement[480:].any()
    following = sound[4000 + RATE : 4000 + RATE + FRAME]
    assert (joined == np.rint(following * np.minimum(np.arange(1, FRAME + 1) / 80, 1))).all()


@pytest.mark.parametrize("known", [0, 1, 39, 160, 389, HISTORY])
def test_what_is_not_known_of_the_past_is_silence(known):
    past = speechlike(HISTORY)
    silent = np.concatenate((np.zeros(HISTORY - known, np.int16), past[HISTORY - known :]))
    following = speechlike(FRAME, 2)
    for short, whole in zip(
        conceal(past[HISTORY - known :], 320, following), conceal(silent, 320, following), strict=True
    ):
        assert (short == whole).all()
        assert short.dtype == np.int16
    assert known or not conceal(past[:0], 320, following)[0].any()


def test_only_the_last_49_ms_count():
    past, following = speechlike(HISTORY + 500), speechlike(FRAME, 2)
    for long, short in zip(conceal(past, 320, following), conceal(past[500:], 320, following), strict=True):
        assert (long == short).all()


@pytest.mark.parametrize("size", [0, 1, 30, 79, 80, 81])
def test_any_number_of_samples_may_follow(size):
    sound = periodic(60, 2000)
    replacement, joined = conceal(sound[:600], 240, sound[840 : 840 + size])
    assert (len(replacement), len(joined)) == (240, size)
    assert (joined[79:] == sound[919 : 840 + size]).all()
    assert size == 0 or joined[-1] == sound[840 + size - 1]


def test_full_scale_does_not_wrap_around():
    sound = np.where(np.random.default_rng(1).random(2000) < 0.5, -32768, 32767).astype(np.int16)
    replacement, joined = gap(sound, 600, 80)
    assert max(abs(replacement).max(), abs(joined).max()) <= 32768
    assert np.mean(abs(replacement) > 32_000) > 0.7  # it is neither folded over nor faded


@pytest.mark.parametrize("hz", [70, 145, 210, 333, 440, 697, 1000, 1477])
def test_nothing_clicks_at_either_end(hz):
    """No step from sample to sample is much larger than the tone's own, however its period fits whole samples."""
    sound = sine16(hz, 12_000, 0.25)
    steepest = 12_000 * 2 * np.sin(np.pi * hz / RATE)
    for begin in range(600, 700, 7):
        heard = np.concatenate((sound[:begin], *gap(sound, begin, FRAME)))
        assert abs(np.diff(heard)).max() <= 1.1 * steepest


def vowels(seconds):
    """A voice: pulses of a gliding pitch (90 to 180 Hz) through three gliding resonances, with pauses."""
    rng = np.random.default_rng(7)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = np.cumsum(135 + 45 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    pulses = np.diff(np.floor(phase), prepend=0) + rng.normal(0, 0.01, len(time))
    voice = np.zeros(len(time))
    for middle, swing, rate, width in ((550, 250, 1.3, 80), (1500, 500, 0.9, 110), (2600, 200, 0.5, 160)):
        hz, r = middle + swing * np.sin(2 * np.pi * rate * time), np.exp(-np.pi * width / RATE)
        y1 = y2 = 0.0
        for n, x in enumerate(pulses.tolist()):
            y = x + 2 * r * np.cos(2 * np.pi * hz[n] / RATE) * y1 - r * r * y2
            y1, y2 = y, y1
            voice[n] += y
    voice *= np.clip(2 * np.sin(2 * np.pi * 1.9 * time) + 1.2, 0, 1)
    return np.rint(voice / abs(voice).max() * 16_000).astype(np.int16)


def segmental_snr(right, heard):
    """The mean signal-to-noise ratio, in dB, of the frames with sound that differ; each from -10 to 35 dB."""
    right, heard = right.reshape(-1, FRAME).astype(float), heard.reshape(-1, FRAME).astype(float)
    noise, signal = np.sum((right - heard) ** 2, axis=1), np.sum(right**2, axis=1)
    counted = (noise > 0) & (signal > FRAME * 100**2)
    return float(np.mean(np.clip(10 * np.log10(signal[counted] / noise[counted]), -10, 35)))


def spoken():
    """A sentence in the voice that the package hibari-tts has in it."""
    pytest.importorskip("hibari", reason="hibari-tts speaks")
    from mediaserver.speech.tts.hibari_process import VoiceStore

    job = {"voice": "", "text": "The number that you have dialled has been changed; please hold.", "rate": 1.0}
    return from_bytes(VoiceStore(0).synthesise(job))


@pytest.mark.parametrize(
    ("speech", "snr_db"),
    [  # measured: 5.4, 3.8 and 4.3
        (lambda: vowels(4), 4.0),
        (lambda: read_wav(ROOT / "prompts/welcome.wav"), 2.5),
        (spoken, 2.5),
    ],
    ids=["vowels", "greeting", "voice"],
)
def test_speech_with_lost_frames_is_nearer_to_itself_than_with_silence(speech, snr_db):
    """3 % of the frames are lost at random."""
    sound = np.tile(speech(), 4)
    sound = sound[: len(sound) // FRAME * FRAME]
    concealed, silenced = [], []
    for seed in range(4):
        lost = np.flatnonzero(np.random.default_rng(seed).random(len(sound) // FRAME - 4) < 0.03) + 2
        heard, silent = sound.copy(), sound.copy()
        for at in lost * FRAME:
            silent[at : at + FRAME] = 0
            heard[at : at + FRAME], heard[at + FRAME : at + 2 * FRAME] = conceal(
                heard[:at], FRAME, heard[at + FRAME : at + 2 * FRAME]
            )
        concealed.append(segmental_snr(sound, heard))
        silenced.append(segmental_snr(sound, silent))
    assert np.mean(silenced) == pytest.approx(0)
    assert np.mean(concealed) >= snr_db
