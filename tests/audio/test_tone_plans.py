"""The tones of each country, by the names users know them by."""

import numpy as np
import pytest

from mediaserver.audio import tone_plans, tones
from mediaserver.audio.tone_plans import TONE_PLANS
from tests.audio.measure import clicks, component_dbm0, dbm0, loudest_hz


def render(*tone, **settings):
    """The sound of a tone by what a user calls it."""
    return tones.render(tone_plans.resolve_tone(*tone, **settings))


EVERY_TONE = [(country, name) for country, plan in TONE_PLANS.items() for name in plan]


def test_the_countries_with_a_tone_plan():
    assert {"us", "uk", "de", "fr", "jp", "kr"} <= set(TONE_PLANS)


@pytest.mark.parametrize("country", TONE_PLANS)
def test_every_country_has_the_same_names(country):
    assert set(TONE_PLANS[country]) == {
        *("dial", "ringback", "busy", "congestion", "callwaiting", "recording", "sit", "milliwatt")
    }


def segments(country, name):
    """Of a plan's notation: frequencies (none: silence) and samples (None: for ever)."""
    for segment in TONE_PLANS[country][name].split(","):
        sound, _, ms = segment.partition("/")
        yield ([float(hz) for hz in sound.partition("*")[0].split("+") if hz != "0"], int(ms) * 8 if ms else None)


@pytest.mark.parametrize(("country", "name"), EVERY_TONE)
def test_every_tone_sounds_as_its_notation_says(country, name):
    tone = render(name, country)
    level = 0 if name == "milliwatt" else -10
    assert len(tone.repeat) % 160 == 0
    at = 0
    for hz, size in segments(country, name):
        part = tone.repeat[at : at + (size or 8000)]
        at += len(part)
        if hz:
            assert part[:16].any()
            assert part[-16:].any()
            inside = part[32:-32]
            modulated = "*" in TONE_PLANS[country][name]
            assert dbm0(inside) == pytest.approx(level, abs=0.3 if modulated else 0.2)
            assert loudest_hz(inside, len(hz)) == pytest.approx(hz, abs=0.5 if len(hz) == 1 else 2)
        else:
            assert not part.any()
    assert len(tone.repeat) % at == 0


@pytest.mark.parametrize(("country", "name"), EVERY_TONE)
def test_no_tone_clicks(country, name):
    tone = render(name, country)
    heard = np.concatenate((tone.once, tone.repeat, tone.repeat))
    sizes = [size or len(tone.repeat) for _, size in segments(country, name)]
    edges = np.cumsum(sizes * (2 * len(tone.repeat) // sum(sizes))) + len(tone.once)
    assert clicks(heard, edges[:-1].tolist()) == []


def test_the_special_information_tone_is_three_rising_tones():
    sit = render("sit").repeat
    for n, hz in enumerate((950, 1400, 1800)):
        assert loudest_hz(sit[n * 2640 : (n + 1) * 2640], 1) == pytest.approx([hz], abs=0.5)


def test_the_default_level_is_minus_10_dbm0_and_can_be_set():
    assert dbm0(render("dial").repeat) == pytest.approx(-10, abs=0.05)
    assert dbm0(render("dial", level=-20.5).repeat) == pytest.approx(-20.5, abs=0.05)
    assert dbm0(render("milliwatt").repeat) == pytest.approx(0, abs=0.05)
    assert dbm0(render("milliwatt", level=-6).repeat) == pytest.approx(-6, abs=0.05)


def test_a_sine_of_any_frequency():
    tone = render("sine:440.5")
    assert loudest_hz(tone.repeat, 1) == pytest.approx([440.5], abs=0.1)
    assert dbm0(tone.repeat) == pytest.approx(-10, abs=0.05)


def test_a_notation_is_a_tone_as_well():
    tone = render("!950/320,425/500,0/500", level=-12)
    assert len(tone.once) == 320 * 8
    assert len(tone.repeat) == 8000
    assert component_dbm0(tone.repeat[32:3968], [425]) == pytest.approx([-12], abs=0.05)


def test_dtmf_has_its_own_levels_and_timing():
    tone = render("dtmf:42", level=-30)
    assert len(tone.once) == 2 * 1600
    assert component_dbm0(tone.once[32:768], [770, 1209]) == pytest.approx([-8, -6], abs=0.2)
    assert len(render("dtmf:42", digit_ms=70, digit_gap_ms=30).once) == 2 * 800


@pytest.mark.parametrize(
    ("name", "country", "message"),
    [
        ("ringbak", "us", 'no tone "ringbak" (did you mean "ringback"?): dial, ringback, busy,'),
        ("bussy", "de", 'no tone "bussy" (did you mean "busy"?): dial,'),
        ("zzz", "us", 'no tone "zzz": dial, '),
        ("", "us", 'no tone "": dial, '),
        ("busy", "usa", 'no tones for country "usa" (did you mean "us"?): us, uk, de, fr, jp, kr'),
        ("busy", "atlantis", 'no tones for country "atlantis": us, uk, de, fr, jp, kr'),
        ("440/", "us", '"440/" is not a tone segment such as'),
        ("sine:loud", "us", '"loud" is not a tone segment such as'),
        ("sine:5000", "us", "5000 Hz is not between 10 and 3999.9 Hz"),
        ("dtmf:", "us", "no DTMF digits"),
        ("8+480/500", "us", "8 Hz is not between 10 and 3999.9 Hz"),
        ("dtmf:1:2", "us", '":" is not a DTMF digit'),
        ("dtmf:1x", "us", '"x" is not a DTMF digit'),
    ],
)
def test_errors_say_what_was_meant(name, country, message):
    with pytest.raises(ValueError, match=r".") as caught:
        render(name, country)
    assert str(caught.value).startswith(message)


def test_the_hint_lists_every_way_to_name_a_tone():
    with pytest.raises(ValueError, match=r"dtmf:DIGITS, sine:HZ, or a cadence such as 480\+620/500,0/500$"):
        render("beep")
