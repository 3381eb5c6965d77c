"""A DTMF receiver: what ITU-T Q.24 wants heard, what it wants not heard, and what is no digit at all."""

import math
import random
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from mediaserver.audio import tones
from mediaserver.audio.detection.dtmf import DtmfDetector, detect_digits
from mediaserver.audio.g711 import alaw_decode, alaw_encode, mulaw_decode, mulaw_encode
from mediaserver.audio.tone_plans import TONE_PLANS, resolve_tone
from tests.audio.measure import MILLIWATT_RMS, RATE
from tests.sound import read_wav, speechlike

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
Q23 = {"123A456B789C*0#D"[4 * r + c]: (ROWS[r], COLUMNS[c]) for r in range(4) for c in range(4)}
ALL = "".join(Q23)
FRAME = 320  # bytes
PHASES = range(0, 160, 3)  # of an onset against the frames, in samples


def silence(ms):
    return np.zeros(round(ms * 8))


def sines(*hz_and_dbm0, ms, phase=1.0, ramp_ms=0.0):
    """Sines at levels in dBm0, sounding together."""
    t = np.arange(round(ms * 8)) / RATE
    sound = np.zeros(len(t))
    for n, (hz, level) in enumerate(hz_and_dbm0):
        peak = MILLIWATT_RMS * math.sqrt(2) * 10 ** (level / 20)
        sound += peak * np.sin(2 * np.pi * hz * t + phase * (n + 1))
    edge = np.minimum(np.arange(len(t)) + 0.5, np.arange(len(t))[::-1] + 0.5) / max(ramp_ms * 8, 1e-9)
    return sound * np.sin(np.pi / 2 * np.minimum(edge, 1)) ** 2


def press(digit, ms=50.0, level=-10.0, twist=0.0, off=(0.0, 0.0), **how):
    """A digit: the low group at `level` dBm0, the high group `twist` dB above; frequencies `off` by a share."""
    low, high = Q23[digit]
    return sines((low * (1 + off[0]), level), (high * (1 + off[1]), level + twist), ms=ms, **how)


def pcm(*sounds):
    """Bytes of sounds one after another, and a little silence."""
    return np.clip(np.rint(np.concatenate([*sounds, silence(60)])), -32768, 32767).astype("<i2").tobytes()


def detected(audio, cut=FRAME):
    detector = DtmfDetector()
    return "".join(detector.feed(audio[at : at + cut]) for at in range(0, len(audio), cut))


def at_phases(*sounds, phases=PHASES):
    """What is heard of the same sounds, begun at every phase against the frames."""
    return {detected(pcm(np.zeros(160 + phase), *sounds)) for phase in phases}


def noise(samples, seed=1):
    """White noise of the telephone band, at an RMS of 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=samples))
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum[(hz < 300) | (hz > 3400)] = 0
    sound = np.fft.irfft(spectrum, samples)
    return sound / np.sqrt(np.mean(sound**2))


# Digits


def test_every_digit_of_our_own_tones():
    rendered = tones.render(tones.dtmf(ALL, 50, 50)).once
    assert detected(pcm(rendered)) == ALL


@pytest.mark.parametrize("digit", ALL)
def test_every_digit_wherever_it_begins(digit):
    assert at_phases(press(digit), phases=range(160)) == {digit}


def test_silence_has_no_digits():
    assert detected(bytes(FRAME * 500)) == ""


def test_two_detectors_share_no_state():
    one, other = DtmfDetector(), DtmfDetector()
    audio, quiet = pcm(press("5")), bytes(FRAME)
    reported = [
        (one.feed(audio[at : at + FRAME]), other.feed(quiet))
        for at in range(0, len(audio) // FRAME * FRAME, FRAME)
    ]
    assert "".join(digit for digit, _ in reported) == "5"
    assert not any(digit for _, digit in reported)


# Frequencies: ±1.5 % is heard, ±3.5 % is not


@pytest.mark.parametrize("low", [-0.015, -0.007, 0, 0.007, 0.015])
@pytest.mark.parametrize("high", [-0.015, -0.007, 0, 0.007, 0.015])
def test_a_frequency_within_tolerance_is_heard(low, high):
    assert detected(pcm(*(part for d in ALL for part in (press(d, 40, off=(low, high)), silence(43))))) == ALL


@pytest.mark.parametrize("by", [-0.055, -0.05, -0.045, -0.04, -0.035, 0.035, 0.04, 0.045, 0.05, 0.055])
@pytest.mark.parametrize("group", [(1, 0), (0, 1), (1, 1), (1, -1)])
@pytest.mark.parametrize("twist", [-8, 0, 4])
def test_a_frequency_out_of_tolerance_is_not_heard(by, group, twist):
    off = by * group[0], by * group[1]
    assert detected(pcm(*(part for d in ALL for part in (press(d, 200, twist=twist, off=off), silence(43))))) == ""


def test_between_the_frequencies_of_a_group_nothing_is_heard():
    every = [lines for group in (ROWS, COLUMNS) for lines in np.arange(group[0] - 100, group[-1] + 100, 3)]
    for hz in every:
        if all(abs(hz / one - 1) >= 0.035 for one in ROWS + COLUMNS):
            other = 1336 if hz < 1075 else 770
            assert detected(pcm(silence(20), sines((hz, -10), (other, -10), ms=80))) == ""


@pytest.mark.parametrize("level", [0, -10, -25])
def test_a_tone_alone_or_two_of_one_group_are_no_digit(level):
    for hz in ROWS + COLUMNS:
        assert detected(pcm(sines((hz, level), ms=200))) == ""
    for group in (ROWS, COLUMNS):
        for one, other in pairwise(group):
            assert detected(pcm(sines((one, level), (other, level), ms=200))) == ""


def test_three_tones_are_no_digit():
    for third in (600, 852, 1050, 1477, 1800, 2100, 2672):
        assert detected(pcm(sines((697, -10), (1209, -10), (third, -13), ms=200))) == ""


def test_the_remaining_notes_of_a_chord_are_no_digit_but_a_new_press_of_that_purity_is():
    pair, weak = press("1", 500), sines((1050, -19), ms=500)
    chord = pair[:2400] + sines((1050, -6), ms=300)
    assert detected(pcm(chord, (pair + weak)[2400:])) == ""
    assert detected(pcm(silence(300), (pair + weak)[2400:])) == "1"


# Twist: the high group from 8 dB below the low group (forward) to 4 dB above it (reverse)


@pytest.mark.parametrize("twist", [-8, -6, -3, 0, 2, 4])
@pytest.mark.parametrize("off", [-0.015, 0, 0.015])
def test_twist_within_limits_is_heard(twist, off):
    for digit in ALL:
        assert at_phases(press(digit, 40, twist=twist, off=(off, -off)), phases=(0, 31, 97)) == {digit}


@pytest.mark.parametrize("twist", [-20, -15, -12, -10, 6, 8, 12, 15, 20])
def test_twist_far_outside_is_not_heard(twist):
    for digit in ALL:
        assert at_phases(press(digit, 80, level=-10 - max(twist, 0), twist=twist), phases=(0, 31, 97)) == {""}


# Level: 0 to -29 dBm0 of each tone is heard, -34 and less is not


@pytest.mark.parametrize("level", [0, -3, -10, -20, -25, -29])
@pytest.mark.parametrize("law", ["linear", "µ-law", "A-law"])
def test_levels_within_limits_are_heard(level, law):
    audio = pcm(*(part for n, d in enumerate(ALL) for part in (press(d, 40, level), silence(40 + n / 4))))
    assert detected(companded(audio, law)) == ALL


@pytest.mark.parametrize("level", [-34, -40, -45, -55])
@pytest.mark.parametrize("law", ["linear", "µ-law", "A-law"])
def test_lower_levels_are_not_heard(level, law):
    audio = pcm(*(part for d in ALL for part in (press(d, 200, level), silence(40))))
    assert detected(companded(audio, law)) == ""


def companded(audio, law):
    samples = np.frombuffer(audio, "<i2").astype(np.int16)
    if law == "µ-law":
        samples = mulaw_decode(mulaw_encode(samples))
    elif law == "A-law":
        samples = alaw_decode(alaw_encode(samples))
    return samples.astype("<i2").tobytes()


# Time: 40 ms is a digit and 23 ms is none; a pause of 40 ms parts two digits, one of 10 ms does not


@pytest.mark.parametrize("digit", "15#D")
@pytest.mark.parametrize(("ramp_ms", "off", "twist"), [(0, 0, 0), (4, 0, 2), (0, 0.015, -8), (4, -0.015, 4)])
def test_40_ms_is_a_digit(digit, ramp_ms, off, twist):
    sound = press(digit, 40, twist=twist, off=(off, off), ramp_ms=ramp_ms)
    assert at_phases(sound, phases=range(160)) == {digit}


@pytest.mark.parametrize("digit", "15#D")
@pytest.mark.parametrize("ms", [5, 10, 15, 18, 20, 22, 22.9])
@pytest.mark.parametrize(("level", "twist"), [(0, 0), (-10, 4), (-10, -8), (-25, 0)])
def test_23_ms_is_no_digit(digit, ms, level, twist):
    assert at_phases(press(digit, ms, level, twist)) == {""}


@pytest.mark.parametrize("time_constant_ms", [5, 10, 15, 20, 30])
def test_two_notes_that_die_away_are_no_digit(time_constant_ms):
    """As those of a plucked string do; a key has the same level from its onset to its end."""
    notes = press("5", 100, level=0)
    assert at_phases(notes * np.exp(-np.arange(len(notes)) / (8 * time_constant_ms))) == {""}


@pytest.mark.parametrize("pause", [40, 50, 80])
@pytest.mark.parametrize("ramp_ms", [0, 4])
def test_a_pause_parts_two_digits(pause, ramp_ms):
    digit = press("7", 40, ramp_ms=ramp_ms)
    assert at_phases(digit, silence(pause), digit) == {"77"}


@pytest.mark.parametrize("ms", [1, 3, 5, 8, 10])
def test_an_interruption_does_not_part_a_digit(ms):
    once = {"7"}
    for before in range(0, 100, 7):
        first, last = press("7", before), press("7", 100 - before, phase=2.0)
        assert at_phases(first, silence(ms), last, phases=range(0, 160, 17)) == once


def test_a_digit_whose_level_wavers_is_one_press():
    sound = press("7", 2000)
    fading = 10 ** (
        -(6 / 20) * (1 - np.cos(np.arange(len(sound)) * 2 * np.pi * 5 / RATE)) / 2
    )  # by 6 dB, 5 times a s
    assert at_phases(sound * fading) == {"7"}


def test_digits_may_follow_each_other_without_a_pause():
    assert detected(pcm(press("1"), press("5"), press("2"))) == "152"


def test_a_digit_held_for_long_is_one_press():
    for digit in "1D":
        assert detected(pcm(press(digit, 10_000), silence(40), press(digit, 5000))) == digit * 2


def test_a_digit_is_held_from_when_it_is_certain_until_it_has_been_gone_for_longer_than_an_interruption():
    detector, audio = DtmfDetector(), pcm(silence(40), press("5", 100), silence(100))
    holding = [detector.holding]
    for at in range(0, len(audio), FRAME):
        detector.feed(audio[at : at + FRAME])
        holding.append(detector.holding)
    assert holding == [False] * 4 + [True] * 5 + [False] * 7  # of 20 ms each; the first is before all of them


def test_a_digit_is_reported_while_it_is_pressed_within_50_ms():
    """At the end of the frame that makes it certain; the frame itself has taken 20 ms to come."""
    late = []
    for onset in range(160):
        for digit in "15#D":
            detector, audio = DtmfDetector(), pcm(np.zeros(FRAME + onset), press(digit, 200))
            ends = (end for end in range(FRAME, len(audio), FRAME) if detector.feed(audio[end - FRAME : end]))
            late.append((next(ends) / 2 - FRAME - onset) / 8)
    assert min(late) >= 23
    assert max(late) <= 50


# Other sound with it


@pytest.mark.parametrize(
    ("ms", "twist", "off", "law"),
    [(50, 0, 0.0, "linear"), (40, 2, 0.015, "µ-law"), (80, -8, 0.015, "A-law"), (40, 4, 0.0, "µ-law")],
)
def test_1000_digits_in_noise_15_db_below(ms, twist, off, law):
    rng = random.Random(ms)
    digits = "".join(rng.choices(ALL, k=1000))
    sounds = [silence(50)]
    for digit in digits:
        by = rng.choice((-off, off)), rng.choice((-off, off))
        sounds += [press(digit, ms, -15, twist, by, phase=rng.uniform(0, 6)), silence(40 + rng.randrange(160) / 8)]
    clean = np.concatenate(sounds)
    power = MILLIWATT_RMS**2 * (10**-1.5 + 10 ** (-1.5 + twist / 10))
    noisy = clean + noise(len(clean)) * math.sqrt(power) * 10 ** (-15 / 20)
    assert detected(companded(pcm(noisy), law)) == digits


def test_a_dial_tone_10_db_below():
    digits = np.concatenate([part for d in ALL for part in (press(d), silence(50))])
    dial = sines((350, -20), (440, -20), ms=len(digits) / 8)
    assert detected(pcm(digits + dial)) == ALL


def test_an_echo_10_db_below_and_20_ms_late():
    digits = np.concatenate([part for d in "1155##" for part in (press(d, 60), silence(60))])
    digits[160:] += digits[:-160] * 10 ** (-10 / 20)
    assert detected(pcm(digits)) == "1155##"


# However the audio is cut up


@settings(max_examples=40)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=40), st.integers(0, 159))
def test_audio_may_be_fed_in_pieces_of_any_size(sizes, onset):
    sounds = [press("1", 40), silence(40), press("1", 60, -25), silence(40), press("D", 45, -12, 4)]
    audio = pcm(np.zeros(onset), *sounds, speechlike(4000), press("#"), silence(40))
    detector, at, digits, turn = DtmfDetector(), 0, "", 0
    while at < len(audio):
        size = 2 * sizes[turn % len(sizes)] if turn < 1000 else len(audio)
        digits += detector.feed(audio[at : at + size])
        at, turn = at + size, turn + 1
    assert digits == detected(audio) == "11D#"


def test_streams_whose_audio_is_not_in_whole_frames_are_searched_together_like_others():
    audio = pcm(press("4"), silence(50), press("2"))
    odd, even = DtmfDetector(), DtmfDetector()
    found = {id(odd): odd.feed(audio[:100]), id(even): ""}
    for at in range(100, len(audio) - FRAME, FRAME):
        rows = np.stack([np.frombuffer(audio[begin : begin + FRAME], "<i2") for begin in (at, at - 100)])
        digits, holding = detect_digits([odd, even], rows)
        found[id(odd)] += digits[0]
        found[id(even)] += digits[1]
        assert holding == [odd.holding, even.holding]
    assert [*found.values()] == ["42", "42"]


@pytest.mark.parametrize("count", [3, 150])
def test_each_of_many_streams_has_its_own_digits(count):
    """Some streams are silent while others are loud, and others have something else than digits."""
    rng = random.Random(count)
    keys = ["".join(rng.choice(ALL) for _ in range(n % 4)) for n in range(count)]
    audio = []
    for n, digits in enumerate(keys):
        parts = [part for digit in digits for part in (press(digit, rng.randrange(45, 120)), silence(60))]
        other = speechlike(2400, n)[: 800 * (n % 3)]
        audio.append(pcm(silence(rng.randrange(200)), *parts, other))
    frames = [[sound[at : at + FRAME].ljust(FRAME, b"\0") for at in range(0, 36_000, FRAME)] for sound in audio]
    detectors, found = [DtmfDetector() for _ in keys], [""] * count
    for row in zip(*frames, strict=True):
        more, holding = detect_digits(detectors, np.frombuffer(b"".join(row), "<i2").reshape(count, 160))
        found = [before + now for before, now in zip(found, more, strict=True)]
        assert holding == [detector.holding for detector in detectors]
    assert found == keys


# Talk-off: an hour of what is no digit


def falsely_heard(recordings):
    """Digits heard in recordings, and how many seconds those last. Pieces of 30 s are searched side by side."""
    cut = 30 * RATE
    sounds = [np.frombuffer(pcm(one), "<i2") for one in recordings]
    pieces = np.concatenate([np.pad(sound, (0, -len(sound) % cut)) for sound in sounds]).reshape(-1, cut)
    detectors = [DtmfDetector() for _ in pieces]
    frames = (np.ascontiguousarray(pieces[:, at : at + 160]) for at in range(0, cut, 160))
    digits = "".join(digit for frame in frames for digit in detect_digits(detectors, frame)[0])
    return digits, sum(len(one) for one in recordings) / RATE


SUBJECTS = (
    "The caller|Your order|A technician|Mister Johnson|Doctor Nakamura|My sister|Nobody|Missus Alvarez|The radio"
)
VERBS = (
    "will arrive|cannot be reached|was waiting|is calling again|speaks slowly|finally answered|would rather sing"
)
PLACES = (
    "at seven forty five|near the harbour|in room two hundred and nine|with three blue suitcases"
    "|before noon on Tuesday|because nobody told us|in Reykjavik|oh eight hundred, four one seven, double five"
    "|please hold the line|for eighteen dollars and six cents|you know, like we said|hello? hello, can you hear me"
)


@pytest.fixture(scope="module")
def speech():
    """Two and a half minutes of one voice's varied sentences, at 24 kHz."""
    hibari = pytest.importorskip("hibari", reason="hibari-tts speaks the talk-off test")
    speak, rng = hibari.Hibari(), random.Random(24)
    spoken, seconds = [], 0.0
    while seconds < 150:
        said = [" ".join(rng.choice(part.split("|")) for part in (SUBJECTS, VERBS, PLACES)) for _ in range(3)]
        spoken.append(speak(". ".join(said) + ".", speed=rng.uniform(0.8, 1.25), seed=len(spoken)))
        seconds += len(spoken[-1]) / hibari.SAMPLE_RATE
    return np.concatenate(spoken), hibari.SAMPLE_RATE


def test_an_hour_of_speech(speech):
    """The sentences as 27 voices, from a deep to a high one, each louder or softer."""
    spoken, rate = speech
    voices = []
    for n, pitch in enumerate(np.geomspace(0.75, 1.55, 27)):
        voice = soxr.resample(spoken, rate * pitch, RATE)
        voices.append(voice * (30000, 10000, 3000)[n % 3] / np.abs(voice).max())
    digits, seconds = falsely_heard(voices)
    assert digits == ""
    assert seconds >= 3600


def test_digits_pressed_over_speech_10_db_below(speech):
    spoken, rate = speech
    talk = soxr.resample(spoken[: 60 * rate], rate, RATE)
    talk *= MILLIWATT_RMS * 10 ** (-20 / 20) / np.sqrt(np.mean(talk[np.abs(talk) > np.abs(talk).max() / 20] ** 2))
    digits = (ALL * 20)[:300]
    pressed = np.concatenate([part for d in digits for part in (press(d, 100), silence(100))])
    assert detected(pcm(pressed + talk[: len(pressed)])) == digits


def test_an_hour_of_music(pytestconfig):
    """The hold music that we ship, in many keys."""
    folder = pytestconfig.rootpath / "prompts" / "music"
    pieces = [read_wav(path).astype(float) for path in sorted(folder.glob("*.wav"))]
    keys = 2.0 ** (np.arange(-22, 23) / 24)  # in quarter tones, from a seventh down to a seventh up
    digits, seconds = falsely_heard([soxr.resample(piece, RATE * key, RATE) for piece in pieces for key in keys])
    assert digits == ""
    assert seconds >= 3600


def test_chords_of_rich_sound_are_no_digits():
    """Random chords, each note with its harmonics, all over the range of the DTMF frequencies."""
    rng = np.random.default_rng(12)
    t = np.arange(2400) / RATE
    chords = []
    for _ in range(1000):
        notes = 440 * 2 ** ((rng.integers(45, 93, rng.integers(2, 5)) - 69) / 12)
        partials = [(hz * k, 1 / k) for hz in notes for k in range(1, 8) if hz * k < 3600]
        chord = sum(level * np.sin(2 * np.pi * hz * t + rng.uniform(0, 6)) for hz, level in partials)
        chords.append(chord * 16000 / np.abs(chord).max())
    assert falsely_heard([np.concatenate(chords)]) == ("", 300)


@pytest.mark.parametrize("country", TONE_PLANS)
def test_call_progress_tones_are_no_digits(country):
    for name in TONE_PLANS[country]:
        tone = tones.render(resolve_tone(name, country))
        assert detected(pcm(tone.once, tone.repeat, tone.repeat)) == ""


def test_noise_and_sweeps_are_no_digits():
    for rms in (30, 300, 3000, 10000):
        assert detected(pcm(noise(60 * RATE) * rms)) == ""
    t = np.arange(20 * RATE) / RATE
    rising, falling = 200 * t + 3500 * t**2 / 40, 3700 * t - 3500 * t**2 / 40  # in cycles
    for cycles in (rising, falling):
        assert detected(pcm(10000 * np.sin(2 * np.pi * cycles))) == ""
    assert detected(pcm(7000 * (np.sin(2 * np.pi * rising) + np.sin(2 * np.pi * falling)))) == ""


def test_clipped_and_broken_audio_has_no_digits():
    square = np.where(np.arange(8000) // 4 % 2, 32767, -32768)
    for bad in (np.full(8000, 32767), np.full(8000, -32768), square, (np.arange(8000) % 800 == 0) * 32767):
        assert detected(pcm(bad)) == ""


# An independent decoder


@pytest.mark.skipif(shutil.which("multimon-ng") is None, reason="multimon-ng is not installed")
def test_multimon_ng_detects_the_same_digits():
    digits = ALL + "1155##00"
    audio = pcm(silence(200), tones.render(resolve_tone(f"dtmf:{digits}")).once, silence(200))
    at_its_rate = soxr.resample(np.frombuffer(audio, "<i2").astype(np.int16), RATE, 22050)
    command = ["multimon-ng", "-q", "-a", "DTMF", "-t", "raw", "-"]
    said = subprocess.run(command, input=at_its_rate.tobytes(), capture_output=True, check=True).stdout.decode()
    assert [line.removeprefix("DTMF: ") for line in said.splitlines()] == list(digits)
    assert detected(audio) == digits
