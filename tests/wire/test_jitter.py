"""The jitter buffer with packets out of order, lost, duplicated or restarted, and the measured jitter."""

import math
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediaserver.audio.pcm import FRAME_BYTES, from_bytes, to_bytes
from mediaserver.wire.events import Audio
from mediaserver.wire.jitter import MAX_DROPOUT, MAX_MISORDER, JitterBuffer, JitterEstimator

U16 = st.integers(0, 2**16 - 1)
COUNTERS = ("received", "lost", "late", "duplicates", "reordered", "restarts")


def pcm(number):
    """A frame of its own for every packet; none is silent."""
    return struct.pack("<i", number - 2**20) * 80


def numbers(audio):
    """The numbers of packets, `...` for a concealed one. A cross-fade leaves the last samples alone."""
    assert all(len(each.pcm) == FRAME_BYTES for each in audio)
    return [... if each.concealed else struct.unpack("<i", each.pcm[-4:])[0] + 2**20 for each in audio]


def counters(buffer):
    """What is not zero."""
    return {name: getattr(buffer, name) for name in COUNTERS if getattr(buffer, name)}


def put(buffer, number, ms=0.0):
    """The packets that a packet completes whose sequence number is its number's last 16 bits."""
    return numbers(buffer.put(number % 2**16, pcm(number), 1000 + ms / 1000))


CASES = {
    # name: [(packet, arrival in ms, packets passed on)], packets at the flush, counters
    "in order": ([(7, 0, [7]), (8, 20, [8]), (9, 40, [9])], [], {"received": 3}),
    "any first sequence number": ([(50_000, 0, [50_000]), (50_001, 20, [50_001])], [], {"received": 2}),
    "sequence number 0 first": ([(0, 0, [0]), (1, 20, [1])], [], {"received": 2}),
    "across the wrap": (
        [(65_534, 0, [65_534]), (65_535, 20, [65_535]), (65_536, 40, [65_536]), (65_537, 60, [65_537])],
        [],
        {"received": 4},
    ),
    "two swapped": (
        [(1, 0, [1]), (3, 20, []), (2, 21, [2, 3]), (4, 60, [4])],
        [],
        {"received": 4, "reordered": 1},
    ),
    "swapped across the wrap": (
        [(65_535, 0, [65_535]), (65_537, 20, []), (65_536, 21, [65_536, 65_537])],
        [],
        {"received": 3, "reordered": 1},
    ),
    "one behind three": (
        [(1, 0, [1]), (3, 20, []), (4, 40, []), (5, 60, []), (2, 79, [2, 3, 4, 5])],
        [],
        {"received": 5, "reordered": 1},
    ),
    "two gaps, filled one by one": (
        [(1, 0, [1]), (3, 20, []), (5, 30, []), (2, 40, [2, 3]), (4, 50, [4, 5])],
        [],
        {"received": 5, "reordered": 2},
    ),
    "a gap given up by depth": (
        [(1, 0, [1]), (3, 0, []), (4, 0, []), (5, 0, []), (6, 0, [..., 3, 4, 5, 6]), (7, 0, [7])],
        [],
        {"received": 6, "lost": 1},
    ),
    "a gap given up by patience": (
        [(1, 0, [1]), (3, 20, []), (4, 79, []), (5, 80.1, [..., 3, 4, 5])],
        [],
        {"received": 4, "lost": 1},
    ),
    "patience over, but the packet is here": (
        [(1, 0, [1]), (3, 20, []), (2, 5000, [2, 3])],
        [],
        {"received": 3, "reordered": 1},
    ),
    "patience is the oldest arrival's": (
        [(1, 0, [1]), (5, 20, []), (3, 70, []), (6, 80.1, [..., 3, ..., 5, 6])],
        [],
        {"received": 4, "lost": 2, "reordered": 1},
    ),
    "a second gap waits for its own packets": (
        [(1, 0, [1]), (3, 20, []), (5, 70, []), (4, 81, [..., 3, 4, 5]), (7, 90, []), (6, 95, [6, 7])],
        [],
        {"received": 6, "lost": 1, "reordered": 2},
    ),
    "a second gap goes on waiting": (
        [(1, 0, [1]), (3, 20, []), (5, 70, []), (6, 81, [..., 3]), (4, 100, [4, 5, 6])],
        [],
        {"received": 5, "lost": 1, "reordered": 1},
    ),
    "a duplicate makes patience run out": (
        [(1, 0, [1]), (3, 20, []), (1, 81, [..., 3])],
        [],
        {"received": 3, "lost": 1, "duplicates": 1},
    ),
    "several lost across the wrap": (
        [(65_534, 0, [65_534]), (65_538, 20, []), (65_539, 81, [..., ..., ..., 65_538, 65_539])],
        [],
        {"received": 3, "lost": 3},
    ),
    "late, and once more": (
        [(1, 0, [1]), (3, 20, []), (4, 81, [..., 3, 4]), (2, 82, []), (5, 90, [5]), (2, 91, [])],
        [],
        {"received": 6, "lost": 1, "late": 1, "duplicates": 1},
    ),
    "late by two gaps": (
        [(1, 0, [1]), (3, 20, []), (5, 81, [..., 3]), (6, 141.1, [..., 5, 6]), (2, 150, []), (4, 160, [])],
        [],
        {"received": 6, "lost": 2, "late": 2},
    ),
    "before the first": (
        [(65_536, 0, [65_536]), (65_535, 1, []), (65_537, 20, [65_537])],
        [],
        {"received": 3, "late": 1},
    ),
    "duplicates of what was passed on and of what is held": (
        [(1, 0, [1]), (1, 1, []), (3, 20, []), (3, 21, []), (2, 22, [2, 3]), (2, 23, []), (3, 24, [])],
        [],
        {"received": 7, "duplicates": 4, "reordered": 1},
    ),
    "held at the end": (
        [(1, 0, [1]), (3, 20, []), (6, 30, [])],
        [..., 3, ..., ..., 6],
        {"received": 3, "lost": 3},
    ),
    "the peer begins anew": (
        [(1, 0, [1]), (2, 20, [2]), (40_000, 40, []), (40_001, 60, [40_000, 40_001]), (40_002, 80, [40_002])],
        [],
        {"received": 5, "restarts": 1},
    ),
    "the peer begins anew across the wrap": (
        [(9000, 0, [9000]), (65_535, 20, []), (65_536, 40, [65_535, 65_536])],
        [],
        {"received": 3, "restarts": 1},
    ),
    "the peer begins anew while a gap is open": (
        [(1, 0, [1]), (3, 20, []), (40_000, 40, []), (40_001, 60, [..., 3, 40_000, 40_001])],
        [],
        {"received": 4, "lost": 1, "restarts": 1},
    ),
    "the peer begins anew, with a loss": (
        [(1, 0, [1]), (40_000, 20, []), (40_002, 40, [40_000]), (40_001, 60, [40_001, 40_002])],
        [],
        {"received": 4, "reordered": 1, "restarts": 1},
    ),
    "the peer begins anew, out of order": (
        [(1, 0, [1]), (40_001, 20, []), (40_000, 40, [40_000]), (40_002, 60, [])],
        [..., 40_002],
        {"received": 4, "lost": 1, "late": 1, "restarts": 1},
    ),
    "two far off, but not of one run": (
        [(1, 0, [1]), (40_000, 20, []), (20_000, 40, [20_000]), (20_001, 60, [20_001])],
        [],
        {"received": 4, "late": 1, "restarts": 1},
    ),
    "one of the run before, after the peer began anew": (
        [(1, 0, [1]), (40_000, 20, []), (40_001, 40, [40_000, 40_001]), (2, 41, []), (40_002, 60, [40_002])],
        [],
        {"received": 5, "late": 1, "restarts": 1},
    ),
    "far off once": (
        [(1, 0, [1]), (40_000, 20, []), (2, 40, [2]), (3, 60, [3]), (40_001, 80, []), (4, 100, [4])],
        [],
        {"received": 6, "late": 2},
    ),
    "far off, and again after one in order": (
        [(1, 0, [1]), (40_000, 20, []), (2, 40, [2]), (40_001, 60, []), (3, 80, [3])],
        [],
        {"received": 5, "late": 2},
    ),
    "the peer begins anew twice": (
        [(1, 0, [1]), (40_000, 20, []), (40_001, 40, [40_000, 40_001]), (9, 60, []), (10, 80, [9, 10])],
        [],
        {"received": 5, "restarts": 2},
    ),
    "the peer begins anew, with as many lost as can be": (
        [(1, 0, [1]), (40_000, 20, []), (40_100, 40, [40_000])],
        [*[...] * 99, 40_100],
        {"received": 3, "lost": 99, "restarts": 1},
    ),
    "far off at the end": ([(1, 0, [1]), (40_000, 20, [])], [], {"received": 2, "late": 1}),
    "far off makes patience run out": (
        [(1, 0, [1]), (3, 20, []), (40_000, 81, [..., 3])],
        [],
        {"received": 3, "lost": 1, "late": 1},
    ),
}


@pytest.mark.parametrize(("arrivals", "at_the_end", "counted"), CASES.values(), ids=CASES)
def test_the_audio_that_each_packet_completes(arrivals, at_the_end, counted):
    buffer = JitterBuffer()
    for number, ms, passed_on in arrivals:
        assert put(buffer, number, ms) == passed_on, (number, ms)
    assert numbers(buffer.flush()) == at_the_end
    assert buffer.flush() == []
    assert counters(buffer) == counted


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_at_most_depth_packets_wait_behind_a_gap(depth):
    buffer = JitterBuffer(depth, math.inf)
    put(buffer, 1)
    assert [put(buffer, 3 + n) for n in range(depth)] == [[]] * depth
    assert put(buffer, 3 + depth) == [..., *range(3, 4 + depth)]


def test_packets_behind_a_gap_wait_for_max_wait():
    buffer = JitterBuffer(10, max_wait=0.5)
    put(buffer, 1)
    assert put(buffer, 3, 0) == put(buffer, 4, 499) == []
    assert put(buffer, 5, 500) == [..., 3, 4, 5]


def test_the_stream_goes_on_after_a_flush():
    buffer = JitterBuffer()
    put(buffer, 1)
    put(buffer, 3)
    assert numbers(buffer.flush()) == [..., 3]
    assert put(buffer, 4) == [4]


def test_a_stream_without_loss_is_passed_on_as_it_is():
    buffer, packets = JitterBuffer(), [pcm(number) for number in range(9)]
    passed_on = [audio.pcm for n in (0, 1, 3, 2, 4, 6, 7, 5, 8) for audio in buffer.put(n, packets[n], n / 50)]
    assert all(audio is packet for audio, packet in zip(passed_on, packets, strict=True))


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
def test_lost_packets_are_concealed_by_the_last_periods_of_all_that_was_passed_on(ptime_ms):
    size = ptime_ms * 8
    tone = np.resize(np.random.default_rng(1).integers(-9000, 9000, 87), 20 * size).astype(np.int16)
    buffer, passed_on = JitterBuffer(depth=0), []
    lost = (6, 9, 10)
    for n in sorted({*range(16)} - {*lost}):
        passed_on += buffer.put(n, to_bytes(tone[n * size : (n + 1) * size]), n * ptime_ms / 1000)
    assert [n for n, audio in enumerate(passed_on) if audio.concealed] == list(lost)
    heard = [from_bytes(audio.pcm).astype(float) for audio in passed_on]
    right = tone.reshape(-1, size)
    assert abs(heard[6][:80] - right[6][:80]).max() <= 1  # at full level for 10 ms
    assert abs(heard[9][:80] - right[9][:80]).max() <= 1
    last_level = 1 - min(2 * size - 1 - 80, 400) / 400  # at the end of the longer gap
    assert abs(heard[10][-1] - right[10][-1] * last_level) <= 1
    assert all((heard[n][80:] == right[n][80:]).all() for n in range(16) if n not in lost)
    assert all((heard[n] == right[n]).all() for n in (*range(6), 8, *range(12, 16)))


def test_a_lost_packet_is_as_long_as_the_one_before_it():
    buffer = JitterBuffer(depth=0)
    passed_on = []
    for number, size in ((1, 640), (4, 160), (6, 0), (8, 0)):
        passed_on += buffer.put(number, bytes(size), 0)
    gone = {size: Audio(bytes(size), concealed=True) for size in (640, 320, 160)}
    assert passed_on == [
        *(Audio(bytes(640)), gone[640], gone[640]),
        *(Audio(bytes(160)), gone[160]),
        *(Audio(b""), gone[320], Audio(b"")),  # no length to go by: a frame
    ]


@pytest.mark.parametrize(("size", "filled"), [(320, 100), (322, 99), (640, 50), (32_000, 1), (32_002, 0)])
def test_a_gap_is_filled_for_two_seconds_at_most(size, filled):
    buffer = JitterBuffer(depth=0)
    buffer.put(0, bytes(size), 0)
    passed_on = buffer.put(101, b"last", 0)
    assert passed_on[:-1] == [Audio(bytes(size), concealed=True)] * filled
    assert not passed_on[-1].concealed
    assert counters(buffer) == {"received": 2, "lost": 100}


@pytest.mark.parametrize(
    ("jump", "first", "second"),
    [
        (MAX_DROPOUT, [...] * MAX_DROPOUT + [10_001 + MAX_DROPOUT], [10_002 + MAX_DROPOUT]),
        (MAX_DROPOUT + 1, [], [10_002 + MAX_DROPOUT, 10_003 + MAX_DROPOUT]),
        (3000, [], [13_001, 13_002]),
        (-MAX_MISORDER, [], []),
        (-MAX_MISORDER - 1, [], []),  # far behind, and the next not quite
        (-MAX_MISORDER - 2, [], [9999 - MAX_MISORDER, 10_000 - MAX_MISORDER]),
    ],
)
def test_the_jump_that_is_a_gap_and_the_jump_that_is_a_restart(jump, first, second):
    buffer = JitterBuffer(depth=0)
    for number in range(9990 - MAX_MISORDER, 10_001):
        put(buffer, number)
    assert [put(buffer, 10_001 + jump), put(buffer, 10_002 + jump)] == [first, second]


def test_a_restart_just_behind_costs_one_second_at_most():
    buffer = JitterBuffer()
    for number in range(MAX_MISORDER):
        put(buffer, number)
    assert [put(buffer, number) for number in range(MAX_MISORDER)] == [[]] * MAX_MISORDER
    assert put(buffer, MAX_MISORDER) == [MAX_MISORDER]
    assert counters(buffer) == {"received": 101, "duplicates": 50}


def test_a_restart_forgets_old_losses():
    buffer = JitterBuffer()
    for number in (1000, 1002, 1003, 1004, 1005, *range(900, 1001)):
        put(buffer, number)
    assert put(buffer, 1002) == []
    assert put(buffer, 1001) == [1001, 1002]  # lost in the run before, but not in this one
    assert counters(buffer) == {"received": 108, "lost": 1, "reordered": 1, "restarts": 1}


def test_an_old_loss_is_forgotten_before_its_sequence_number_recurs():
    buffer = JitterBuffer(depth=0)
    for number in (0, *range(2, 2**16 + 3)):
        put(buffer, number)
    assert put(buffer, 2**16 + 1) == []
    assert counters(buffer) == {"received": 2**16 + 3, "lost": 1, "duplicates": 1}


# Properties


@given(U16, st.integers(0, 8), st.data())
def test_packets_overtaken_within_the_depth_come_out_in_order(first, depth, data):
    """The first packet stays first: with nothing before it, nobody knows that it is not."""
    overtaken = data.draw(st.lists(st.integers(0, depth + 1), max_size=60))
    order = sorted(range(len(overtaken)), key=lambda n: n + overtaken[n])
    arrivals = [first, *(first + 1 + n for n in order)]
    buffer = JitterBuffer(depth, math.inf)
    assert [each for number in arrivals for each in put(buffer, number)] == sorted(arrivals)
    assert buffer.flush() == []
    assert counters(buffer).keys() <= {"received", "reordered"}


PACKETS = st.lists(  # how many copies of a packet arrive, each how many places later
    st.lists(st.integers(0, 30), max_size=3) | st.just([0]), min_size=1, max_size=60
)
STEPS = st.lists(st.integers(0, 70), min_size=1, max_size=20)


@given(U16, PACKETS, STEPS, st.integers(0, 5))
@example(65_530, [[0]] * 3 + [[]] * 30 + [[0]] * 3, [20], 3)
def test_any_loss_duplication_and_reordering(first, packets, steps, depth):
    arrivals = sorted((n + later, n) for n, copies in enumerate(packets) for later in copies)
    order = [first + n for _, n in arrivals]
    buffer, heard, ms = JitterBuffer(depth), [], 0
    for n, number in enumerate(order):
        ms += steps[n % len(steps)]
        heard += put(buffer, number, ms)
    heard += numbers(buffer.flush())
    counted = {name: getattr(buffer, name) for name in COUNTERS}
    assert counted["received"] == len(order)
    assert counted["restarts"] == 0
    assert counted["lost"] == heard.count(...)
    assert len(heard) == counted["received"] - counted["late"] - counted["duplicates"] + counted["lost"]
    if order:  # every packet in its own place, or what conceals it, from the first that arrived to the last
        assert heard == [... if each is ... else number for number, each in enumerate(heard, order[0])]
        assert len(heard) == max(order) - order[0] + 1


@given(st.lists(st.tuples(U16, st.binary(max_size=4), st.floats(0, 1)), max_size=80), st.integers(0, 5))
def test_arbitrary_sequence_numbers_raise_nothing_and_the_counters_add_up(packets, depth):
    buffer, heard, at = JitterBuffer(depth), [], 0.0
    for sequence, sound, later in packets:
        at += later
        heard += buffer.put(sequence, sound * 2, at)
    heard += buffer.flush()
    assert len(heard) == buffer.received - buffer.late - buffer.duplicates + buffer.lost
    assert len([audio for audio in heard if audio.concealed]) == buffer.lost
    assert buffer.lost <= MAX_DROPOUT * buffer.received


NEAR = st.lists(st.integers(0, 400) | U16, max_size=40)
"""Sequence numbers that are gaps, duplicates and late as often as far off."""


@given(NEAR, st.integers(0, 500) | U16)
def test_a_stream_recovers_after_arbitrary_packets(history, first):
    buffer = JitterBuffer()
    for n, sequence in enumerate(history):
        put(buffer, sequence, 20 * n)
    for n in range(MAX_MISORDER + 5):
        last = put(buffer, first + n, 1000 + 20 * n)
    assert last == [first + MAX_MISORDER + 4]


@given(U16, st.integers(1, 5), st.integers(MAX_DROPOUT + 1, 2**16 - MAX_MISORDER - 2), st.booleans())
def test_a_restart_is_passed_on_from_its_second_packet_on(first, count, jump, gap):
    buffer = JitterBuffer()
    for n in range(count):
        put(buffer, first + n)
    if gap:
        put(buffer, first + count + 1)
    anew = first + count + jump
    assert put(buffer, anew) == []
    assert put(buffer, anew + 1) == ([..., first + count + 1] if gap else []) + [anew, anew + 1]
    assert put(buffer, anew + 2) == [anew + 2]
    assert buffer.restarts == 1
    assert buffer.late == 0


# Jitter


def jitter(*arrivals):
    """In ms after each arrival of (ms, samples)."""
    measured, estimates = JitterEstimator(), []
    for ms, samples in arrivals:
        measured.update(1000 + ms / 1000, samples)
        estimates.append(measured.ms)
    return pytest.approx(estimates, abs=1e-6)


def test_no_jitter_before_there_are_two_packets():
    assert JitterEstimator().ms == 0
    assert jitter((0, 0)) == [0]
    assert jitter((5, 123_456)) == [0]


@pytest.mark.parametrize("ptime", [10, 20, 60, 1000, 5000])
def test_even_spacing_is_no_jitter(ptime):
    assert jitter(*((n * ptime, n * ptime * 8) for n in range(100))) == [0] * 100


def test_packets_of_different_lengths_at_their_time_are_no_jitter():
    assert jitter((0, 0), (20, 160), (60, 480), (70, 560), (2070, 16_560)) == [0] * 5


def test_jitter_is_the_formula_of_rfc_3550():
    """J += (|D| - J) / 16, with D of 0, +10, -10, +4 ms: the third is 0.625 + 9.375 / 16."""
    assert jitter((0, 0), (20, 160), (50, 320), (60, 480), (84, 640)) == [0, 0, 0.625, 1.2109375, 1.38525390625]


def test_late_every_other_time_comes_to_the_lateness():
    measured = JitterEstimator()
    for n in range(200):
        measured.update(n * 0.02 + n % 2 * 0.008, n * 160)
    assert measured.ms == pytest.approx(8 * (1 - (15 / 16) ** 199))


def test_a_stall_and_the_burst_behind_it_count():
    """Half a second of nothing, then two packets at once: D of +500 and -20 ms."""
    assert jitter((0, 0), (520, 160), (520, 320)) == [0, 31.25, 31.25 - 11.25 / 16]


@pytest.mark.parametrize(
    "after",
    [(1040, 160), (60_000, 160), (20, 80_000), (20, 160_000), (40, -8000)],
    ids=["a second's pause", "a minute's pause", "samples left out", "more samples left out", "samples anew"],
)
def test_a_pause_or_another_stream_is_no_jitter(after):
    ms, samples = after
    assert jitter((0, 0), (30, 160), after, (ms + 20, samples + 160)) == [
        0,
        0.625,
        0.625,
        0.625 * 15 / 16,
    ]


def test_a_second_is_the_most_that_counts():
    assert jitter((0, 0), (1019, 160)) == [0, 999 / 16]
    assert jitter((0, 0), (1000, 0)) == [0, 1000 / 16]
    assert jitter((0, 0), (1021, 160)) == [0, 0]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(-(2**40), 2**40)), max_size=50))
def test_jitter_is_never_more_than_the_most_that_counts(arrivals):
    measured = JitterEstimator()
    for at, samples in arrivals:
        measured.update(at, samples)
        assert 0 <= measured.ms <= 1000


def test_audio_that_may_have_come_earlier_counts_with_the_least_variation() -> None:
    estimator = JitterEstimator()
    for n, at in enumerate((0.0, 0.02, 0.055, 0.06, 0.08)):
        estimator.update(at, 160 * n, 0.02)
    assert estimator.ms == 0  # each may have come in time
    estimator.update(0.16, 160 * 5, 0.02)  # due by 0.12 s at the latest, and came after 0.14 s
    assert 1000 * 0.02 / 16 <= estimator.ms <= 1000 * 0.04 / 16
