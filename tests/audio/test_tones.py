"""Tones: what the notation says, and what is heard."""

import math
from fractions import Fraction
from typing import cast

import numpy as np
import pytest

from mediaserver.audio import tones
from mediaserver.audio.tones import Cadence, Component, Segment
from tests.audio.measure import MILLIWATT_RMS, clicks, component_dbm0, dbm0, loudest_hz, sine

RAMP = 32  # samples of 4 ms
PEAK = MILLIWATT_RMS * math.sqrt(2)  # of a sine at 0 dBm0


def sound(*hz, level=-10.0, ms=None, by=None):
    return Segment(
        tuple(Component(Fraction(h), cast("float", pytest.approx(level, abs=0.01))) for h in hz), ms, by
    )


def silence(ms):
    return Segment((), ms)


# The notation


@pytest.mark.parametrize(
    ("notation", "cadence"),
    [
        ("440", Cadence((), (sound(440),))),
        ("440.5", Cadence((), (sound("440.5"),))),
        ("425/1000,0/4000", Cadence((), (sound(425, ms=1000), silence(4000)))),
        (" 425/1000 , 0/4000 ", Cadence((), (sound(425, ms=1000), silence(4000)))),
        ("350+440", Cadence((), (sound(350, 440, level=-13.01),))),
        ("400+450+500/100", Cadence((), (sound(400, 450, 500, level=-14.77, ms=100),))),
        ("400*16/500", Cadence((), (sound(400, ms=500, by=Fraction(16)),))),
        ("!950/330,!1400/330", Cadence((sound(950, ms=330), sound(1400, ms=330)), ())),
        ("!350/100,!0/100,440", Cadence((sound(350, ms=100), silence(100)), (sound(440),))),
        ("0", Cadence((), (silence(None),))),
    ],
)
def test_notations_are_parsed(notation, cadence):
    assert tones.parse(notation, -10) == cadence


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("", '"" is not a tone segment such as 480+620/500 or !950/330'),
        ("beep", '"beep" is not a tone segment such as 480+620/500 or !950/330'),
        ("440/500,", '"" is not a tone segment such as 480+620/500 or !950/330'),
        ("440,480+/500", '"480+/500" is not a tone segment such as 480+620/500 or !950/330'),
        ("-440/500", '"-440/500" is not a tone segment such as 480+620/500 or !950/330'),
        ("440/0.5", '"440/0.5" is not a tone segment such as 480+620/500 or !950/330'),
        ("440/500,!480/500", '"!480/500" is played once, so it must come before what repeats'),
        ("440/0", '"440/0" lasts 0 ms'),
        ("9", "9 Hz is not between 10 and 3999.9 Hz in steps of 0.1 Hz"),
        ("4000", "4000 Hz is not between 10 and 3999.9 Hz in steps of 0.1 Hz"),
        ("440.55", "440.55 Hz is not between 10 and 3999.9 Hz in steps of 0.1 Hz"),
        ("440*0/500", "0 Hz is not between 0.1 and 3999.9 Hz in steps of 0.1 Hz"),
        ("440+0", "0 Hz is not between 10 and 3999.9 Hz in steps of 0.1 Hz"),
    ],
)
def test_a_bad_segment_is_named(notation, message):
    with pytest.raises(ValueError, match=r".") as caught:
        tones.parse(notation, -10)
    assert str(caught.value) == message


@pytest.mark.parametrize("notation", ["400*0", "400*4000/500", "400*16.01", "400*16.00000001"])
def test_a_modulation_that_cannot_be_rendered_is_refused(notation):
    with pytest.raises(ValueError, match="Hz"):
        tones.parse(notation, -10)


def test_a_modulation_may_take_ten_seconds():
    assert tones.parse("400*0.1", -10).repeat[0].modulation == Fraction(1, 10)


@pytest.mark.parametrize(("notation", "count"), [("480/500,620", 1), ("480/500,500/250,620", 2)])
def test_segments_before_an_endless_one_are_played_once(notation, count):
    cadence = tones.parse(notation, -10)
    assert tones.normalize(cadence) == Cadence(cadence.repeat[:count], cadence.repeat[count:])
    assert len(cadence.repeat[count:]) == 1


def test_a_frequency_of_hundreds_of_digits_is_refused_like_any_other():
    with pytest.raises(ValueError, match="is not a tone segment"):
        tones.parse("1" + "0" * 400, -10)


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("!440", "only the last segment may go without a duration"),
        ("440,0/500", "only the last segment may go without a duration"),
        ("440/10000,0/10001", "one pass lasts longer than 20 s"),
        ("!440/20001", "one pass lasts longer than 20 s"),
        ("!440/10000,480/10001", "one pass lasts longer than 20 s"),
        (",".join(65 * ["440/1"]), "has 65 segments: at most 64 are played"),
    ],
)
def test_a_cadence_that_cannot_be_rendered_is_refused(notation, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        tones.render(tones.parse(notation, -10))


def test_a_pass_may_last_20_seconds():
    assert len(tones.render(tones.parse("440/10000,0/10000", -10)).repeat) == 160_000


def test_a_pass_may_have_64_segments():
    assert len(tones.render(tones.parse(",".join(64 * ["!440/1"]), -10)).once) == 64 * 8


# Steady tones


def steady(notation, level=-10.0):
    return tones.render(tones.parse(notation, level))


@pytest.mark.parametrize(
    ("notation", "hz"), [("440", 440), ("440.5", 440.5), ("1004", 1004), ("3999.9", 3999.9), ("10", 10)]
)
def test_a_steady_tone_is_one_sine_for_ever(notation, hz):
    tone = steady(notation, -10)
    ideal = sine(hz, PEAK * 10**-0.5, 3 * len(tone.repeat) / 8000)
    assert np.abs(np.tile(tone.repeat, 3) - ideal).max() < 3  # of 7163: the phase neither jumps nor drifts


@pytest.mark.parametrize(
    ("notation", "samples"), [("440", 8000), ("440.5", 16000), ("440.1", 80000), ("350+440.2", 40000)]
)
def test_the_loop_of_a_steady_tone_is_as_short_as_whole_periods_allow(notation, samples):
    assert len(steady(notation).repeat) == samples


def test_a_steady_tone_fades_in_once_and_then_is_unchanged():
    tone = steady("440.5")
    ramp = (1 - np.cos(np.pi * (np.arange(RAMP) + 0.5) / RAMP)) / 2
    assert tone.once.dtype == tone.repeat.dtype == np.int16
    assert np.array_equal(tone.once[RAMP:], tone.repeat[RAMP:])
    assert np.abs(tone.once[:RAMP] - tone.repeat[:RAMP] * ramp).max() <= 1  # each is rounded once


@pytest.mark.parametrize("notation", ["440", "440.5", "1004", "350+440", "400*16", "480.3+620.7"])
def test_no_click_where_a_steady_tone_starts_or_repeats(notation):
    tone = steady(notation)
    before = np.zeros(1000, dtype=np.int16)
    heard = np.concatenate((before, tone.once, tone.repeat, tone.repeat))
    assert clicks(heard, [1000, 1000 + len(tone.once), 1000 + len(tone.once) + len(tone.repeat)]) == []


def test_the_click_detector_hears_hard_edges_and_phase_jumps():
    hard = np.concatenate((np.zeros(1000), sine(440, 7000, 0.5), np.zeros(1000)))
    assert clicks(hard, [1000, 5000]) == [1000, 5000]
    jump = np.concatenate((sine(440.5, 7000, 1), sine(440.5, 7000, 1)))
    assert clicks(jump, [8000]) == [8000]


@pytest.mark.parametrize(
    ("notation", "level", "hz"),
    [("425", -10.0, [425]), ("1004", 0.0, [1004]), ("350+440", -10.0, [350, 440]), ("480+620", -13.0, [480, 620])],
)
def test_frequencies_and_levels_as_measured(notation, level, hz):
    tone = steady(notation, level).repeat
    assert loudest_hz(tone, len(hz)) == pytest.approx(hz, rel=0.0005)
    assert dbm0(tone) == pytest.approx(level, abs=0.05)
    assert component_dbm0(tone, hz) == pytest.approx([level - 10 * math.log10(len(hz))] * len(hz), abs=0.05)


def test_modulation_swings_the_amplitude_but_not_the_power():
    tone = steady("400*16").repeat
    assert dbm0(tone) == pytest.approx(-10, abs=0.05)
    assert loudest_hz(tone, 3) == pytest.approx([384, 400, 416], abs=0.2)
    carrier, low, high = component_dbm0(tone, [400, 384, 416])
    assert [low - carrier, high - carrier] == pytest.approx([20 * math.log10(0.45)] * 2, abs=0.05)  # 90 % deep


# Cadences


def beeps(*spans, total):
    """The ideal sound of `(start_ms, end_ms, hz)` bursts at -10 dBm0 in `total` ms, ramps included."""
    out = np.zeros(total * 8)
    ramp = (1 - np.cos(np.pi * (np.arange(RAMP) + 0.5) / RAMP)) / 2
    for start, end, hz in spans:
        at = slice(start * 8, end * 8)
        out[at] = sine(hz, PEAK * 10**-0.5, total / 1000)[at]
        out[at.start : at.start + RAMP] *= ramp
        out[at.stop - RAMP : at.stop] *= ramp[::-1]
    return out


@pytest.mark.parametrize(
    ("notation", "ideal"),
    [
        ("425/500,0/500", beeps((0, 500, 425), total=1000)),
        ("0/100,425/300", beeps((100, 400, 425), total=400)),
        ("400/400,0/350,400/225,0/525", beeps((0, 400, 400), (750, 975, 400), total=1500)),
        ("950/320,1400/320,1800/320,0/1000", beeps((0, 320, 950), (320, 640, 1400), (640, 960, 1800), total=1960)),
        ("440/100,440/100,0/200", beeps((0, 200, 440), total=400)),  # the same sound goes on without a dip
    ],
)
def test_a_cadence_is_exact_to_the_sample(notation, ideal):
    repeat = steady(notation).repeat
    assert len(repeat) == len(ideal)
    assert np.abs(repeat - ideal).max() < 3
    assert not repeat[ideal == 0].any()
    on = np.flatnonzero(np.diff(np.concatenate(([0], np.abs(ideal) > 0, [0]))))
    for edge in on[[0, -1]]:
        assert repeat[max(0, edge - 8) : edge + 8].any()


def burst_edges(notation):
    """Where segments meet, in samples from the start."""
    return np.cumsum([int(segment.split("/")[1]) * 8 for segment in notation.split(",")]).tolist()


@pytest.mark.parametrize(
    "notation",
    [
        "425/500,0/500",
        "480+620/250,0/250",
        "400*16/500,0/500",
        "440.5/333,0/334",
        "950/330,1400/330,1800/330,0/1000",
        "350/300,1700/300",
    ],
)
def test_no_click_at_either_end_of_a_burst_nor_where_the_cadence_repeats(notation):
    repeat = steady(notation).repeat
    edges = burst_edges(notation)
    heard = np.tile(repeat, 3)
    every = [start + edge for start in range(0, len(heard), edges[-1]) for edge in edges]
    assert clicks(heard, every[:-1]) == []


@pytest.mark.parametrize(
    ("notation", "edges"),
    [
        ("!350+440/100,!0/100,!350+440/100,!0/100,350+440", [800, 1600, 2400, 3200]),
        ("!950/330,!1400/330,425/500,0/500", [2640, 5280]),
        ("!440/500,440", [4000]),
        ("440/500,1000", [4000]),  # what precedes a sound for ever has its turn once
    ],
)
def test_no_click_from_what_is_played_once_to_what_repeats(notation, edges):
    tone = steady(notation)
    heard = np.concatenate((tone.once, tone.repeat, tone.repeat))
    seams = [len(tone.once), len(tone.once) + len(tone.repeat)]
    assert clicks(heard, sorted({*edges, *seams})) == []


def test_the_segments_played_once_come_first():
    tone = steady("!950/320,!0/80,425/500,0/500")
    assert np.abs(tone.once - beeps((0, 320, 950), total=400)).max() < 3
    assert np.abs(tone.repeat - beeps((0, 500, 425), total=1000)).max() < 3


def test_a_cadence_that_ends_has_nothing_to_repeat():
    tone = steady("!950/320,!0/80")
    assert (len(tone.once), len(tone.repeat)) == (3200, 0)


@pytest.mark.parametrize(
    "notation", ["440/333,0/334", "440/1,0/2", "440/375,0/375", "440.7", "425/20,0/20", "400*16"]
)
def test_the_repeated_part_is_whole_frames(notation):
    assert len(steady(notation).repeat) % 160 == 0


def test_an_uneven_cadence_is_repeated_until_it_fills_whole_frames():
    repeat = steady("440/333,0/334").repeat  # 5336 samples: 33.35 frames
    assert len(repeat) == 20 * 5336
    assert np.array_equal(repeat, np.tile(repeat[:5336], 20))


def test_an_uneven_cadence_too_long_to_fill_whole_frames_is_left_uneven():
    assert len(steady("440/9999,0/9998").repeat) == 19_997 * 8  # 999.85 frames: joined to the sample when played


@pytest.mark.parametrize(("ms", "ramp"), [(100, 32), (5, 20)])
def test_a_burst_begins_and_ends_with_a_ramp(ms, ramp):
    once = tones.render(tones.parse(f"!441/{ms}", -10)).once
    whole = sine(441, MILLIWATT_RMS * math.sqrt(2) * 10 ** (-10 / 20), ms / 1000)
    rise = (1 - np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)) / 2
    whole[:ramp] *= rise
    whole[-ramp:] *= rise[::-1]
    assert (
        np.abs(once - whole).max() < 5
    )  # of 32 768: the meter's milliwatt is that of µ-law, which is a little off


def test_a_sound_that_is_cut_into_segments_is_the_same_sound():
    whole, cut = (tones.render(tones.parse(each, -10)).once for each in ("!441/100", "!441/50,!441/30,!441/20"))
    assert np.array_equal(whole, cut)


def test_a_burst_shorter_than_two_ramps_is_all_ramp():
    repeat = steady("1000/4,0/16").repeat
    assert repeat[:32].any()
    assert not repeat[32:].any()


# DTMF: ITU-T Q.23

Q23 = {
    digit: (low, high)
    for low, row in ((697, "123A"), (770, "456B"), (852, "789C"), (941, "*0#D"))
    for high, digit in zip((1209, 1336, 1477, 1633), row, strict=True)
}


@pytest.mark.parametrize("digit", Q23)
def test_a_digit_is_its_two_frequencies_at_their_levels(digit):
    once = tones.render(tones.dtmf(digit, 500, 100)).once
    inside = once[RAMP : 4000 - RAMP]
    assert loudest_hz(inside, 2) == pytest.approx(Q23[digit], rel=0.001)
    assert component_dbm0(inside, Q23[digit]) == pytest.approx([-8, -6], abs=0.2)


def test_digits_are_timed_exactly_and_end():
    tone = tones.render(tones.dtmf("1#d", 80, 40))
    assert (len(tone.once), len(tone.repeat)) == (3 * 120 * 8, 0)
    for n, digit in enumerate("1#D"):
        pressed, gap = tone.once[n * 960 : n * 960 + 640], tone.once[n * 960 + 640 : (n + 1) * 960]
        assert pressed[:8].any()
        assert pressed[-8:].any()
        assert not gap.any()
        assert component_dbm0(pressed[RAMP:-RAMP], Q23[digit]) == pytest.approx([-8, -6], abs=0.2)


def test_no_click_at_either_end_of_a_digit():
    once = tones.render(tones.dtmf("159D", 100, 100)).once
    assert clicks(once, list(range(800, 6400, 800))) == []


@pytest.mark.parametrize(
    ("digits", "message"),
    [
        ("12E", '"E" is not a DTMF digit: 0-9, A-D, * or #'),
        ("1 2", '" " is not a DTMF digit: 0-9, A-D, * or #'),
        ("", "no DTMF digits"),
    ],
)
def test_bad_digits_are_named(digits, message):
    with pytest.raises(ValueError, match=r".") as caught:
        tones.dtmf(digits, 100, 100)
    assert str(caught.value) == message
