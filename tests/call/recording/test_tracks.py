"""The tracks of a stereo recording: gaps are silence, and audio that was only late has its place."""

import random

import pytest

from mediaserver.call.recording.tracks import Track, Tracks

FRAME = 0.020


def numbered(n: int) -> bytes:
    return (n % 30_000 + 1).to_bytes(2, "little") * 160


def recorded(arrivals: dict[float, list[int]], seconds: float) -> list[tuple[int, int]]:
    """Which of the caller's frames stands beside which of ours, second by second written; 0 is silence."""
    tracks, written = Tracks(), (bytearray(), bytearray())
    events = sorted(arrivals.items())
    for n in range(round(seconds / FRAME)):
        now = (n + 1) * FRAME
        while events and events[0][0] <= now:
            for frame in events.pop(0)[1]:
                tracks.inbound.push(numbered(frame), now)
        tracks.outbound.push(numbered(n), now)
        if n % 50 == 49:
            for side, more in zip(written, tracks.read(now, last=False), strict=True):
                side += more
    for side, more in zip(written, tracks.read(seconds, last=True), strict=True):
        side += more
    heard, said = (
        [int.from_bytes(side[at : at + 2], "little") for at in range(0, len(side), 320)] for side in written
    )
    return list(zip(heard, said, strict=True))


def drift(rows: list[tuple[int, int]]) -> list[int]:
    """How many frames the caller's side is behind ours, wherever both sound."""
    return [said - heard for heard, said in rows if heard and said]


def held(frames: int, *holds: tuple[float, float]) -> dict[float, list[int]]:
    """Frames that come when they are due, but for those that a network holds from one moment to another."""
    arrivals: dict[float, list[int]] = {}
    for n in range(frames):
        at = (n + 1) * FRAME
        for start, end in holds:
            if start <= at < end:
                at = end
        arrivals.setdefault(at, []).append(n)
    return arrivals


@pytest.mark.parametrize("hold", [0.1, 0.3, 0.8, 1.5, 3.5, 4.5, 9.0])
def test_audio_that_the_network_held_is_put_in_its_place(hold: float) -> None:
    rows = recorded(held(1500, (5.0, 5.0 + hold)), 30)
    assert set(drift(rows)) == {0}
    assert len(rows) == 1500


@pytest.mark.parametrize("seed", range(5))
def test_holds_one_after_another_leave_both_sides_in_step(seed: int) -> None:
    dice, at, holds = random.Random(seed), 1.0, []
    while at < 55:
        end = at + dice.uniform(0.1, 2.0)
        holds.append((at, end))
        at = end + dice.uniform(0.02, 0.6)
    rows = recorded(held(3000, *holds), 60)
    assert max(map(abs, drift(rows))) <= 10  # 200 ms


@pytest.mark.parametrize(("begins", "quiet"), [(100, 1.0), (100, 15.0), (110, 0.6), (125, 1.2), (125, 11.2)])
def test_a_caller_who_sends_nothing_for_a_while_is_silent_for_so_long(begins: int, quiet: float) -> None:
    """Even where what there is is written while it is not known yet whether it was a gap."""
    frames = round(quiet / FRAME)
    arrivals = {(n + 1) * FRAME: [n] for n in range(1500) if not begins <= n < begins + frames}
    rows = recorded(arrivals, 30)
    assert max(map(abs, drift(rows))) <= 1
    silent = [said for heard, said in rows if not heard]
    assert silent[0] in (begins + 1, begins + 2)
    assert abs(len(silent) - frames) <= 1


def test_nothing_of_either_side_is_lost_or_doubled() -> None:
    rows = recorded(held(1500, (3.0, 4.0), (4.1, 7.0), (20.0, 20.5)), 30)
    assert [heard for heard, _ in rows if heard] == list(range(1, 1501))
    assert [said for _, said in rows if said] == list(range(1, 1501))


def test_frames_that_were_not_played_are_retracted() -> None:
    tracks = Tracks()
    for n in range(8):
        tracks.outbound.push(numbered(n), FRAME)
    tracks.outbound.retract(3 * 320)
    assert tracks.outbound.read(6 * 320) == b"".join(map(numbered, range(5))) + bytes(320)
    tracks.outbound.retract(320)  # what is written stays
    assert len(tracks.outbound) == 0
    tracks.outbound.push(numbered(1), 1.0)
    tracks.outbound.retract(1_000_000)
    assert len(tracks.outbound) == 0


SECOND = 16_000  # bytes


def filled(pcm: bytes) -> list[tuple[bool, int]]:
    """Stretches of silence and of sound, and their bytes."""
    found: list[tuple[bool, int]] = []
    for at in range(0, len(pcm), 2):
        sounds = any(pcm[at : at + 2])
        if found and found[-1][0] is sounds:
            found[-1] = sounds, found[-1][1] + 2
        else:
            found.append((sounds, 2))
    return found


@pytest.mark.parametrize("doubt", [0.0, 0.5])
def test_a_gap_is_filled_up_to_when_sound_came_again(doubt: float) -> None:
    track = Track(doubt)
    for n in range(5):
        track.push(numbered(n), (n + 1) * FRAME)
    assert (track.settled, len(track)) == (1600, 1600)
    track.push(numbered(5), 1.0)
    if doubt:
        assert (track.settled, len(track)) == (1600, 1920)
        track.resolve_gap(1.49)
        assert track.settled == 1600
        track.resolve_gap(1.5)
    size = SECOND - 1600 + 1920
    assert (track.settled, len(track)) == (size, size)
    track.resolve_gap(5.0)  # once
    track.resolve_gap(5.0, last=True)
    assert filled(track.read(size)) == [(True, 1600), (False, SECOND - 1600), (True, 320)]


@pytest.mark.parametrize(("late", "gap"), [(3200, False), (3202, True)])
def test_audio_less_than_200_ms_late_has_no_gap_before_it(late: int, gap: bool) -> None:
    track = Track()
    track.push(numbered(1), late / SECOND)
    assert len(track) == (late + 320 if gap else 320)


def test_late_audio_after_a_gap_shortens_it() -> None:
    """At the best of times within the half second: the network held it, and let go of it piece by piece."""
    track = Track(0.5)
    for at in (1.0, 1.0, 1.0, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.2):
        track.push(numbered(1), at)
    before = SECOND * 1.1 - 10 * 320  # when the last came of those that came at 1.1 s
    track.resolve_gap(2.0)
    assert len(track) == before + 12 * 320


def test_a_track_waits_ten_seconds_for_the_other() -> None:
    tracks = Tracks()
    for n in range(700):
        tracks.outbound.push(numbered(n), (n + 1) * FRAME)
    assert [len(side) for side in tracks.read(9.99, last=False)] == [0, 0]
    heard, said = tracks.read(11.0, last=False)
    assert (len(heard), len(said)) == (SECOND, SECOND)
    assert not any(heard)
    assert said[:320] == numbered(0)
    heard, said = tracks.read(12.0, last=False)  # and goes on with what is left
    assert (len(heard), said[:320]) == (SECOND, numbered(50))
    heard, said = tracks.read(14.0, last=True)
    assert (len(heard), len(said)) == (12 * SECOND, 12 * SECOND)


def test_no_more_than_a_minute_of_a_track_is_pending() -> None:
    tracks = Tracks()
    tracks.inbound.push(bytes([1]) * 61 * SECOND, 0.1)
    assert [len(side) for side in tracks.read(0.1, last=False)] == [SECOND, SECOND]
    assert [len(side) for side in tracks.read(0.1, last=False)] == [0, 0]


def test_no_more_is_read_than_the_limit() -> None:
    tracks = Tracks()
    for n in range(10):
        tracks.inbound.push(numbered(n), (n + 1) * FRAME)
        tracks.outbound.push(numbered(n), (n + 1) * FRAME)
    assert [len(side) for side in tracks.read(0.2, last=False, limit=640)] == [640, 640]
    assert [len(side) for side in tracks.read(0.2, last=True, limit=0)] == [0, 0]
    assert [len(side) for side in tracks.read(0.2, last=False, limit=10_000)] == [2560, 2560]


def test_audio_after_a_possible_gap_is_not_read() -> None:
    tracks = Tracks()
    tracks.inbound.push(numbered(1), FRAME)
    for n in range(60):
        tracks.outbound.push(numbered(n), (n + 1) * FRAME)
    tracks.inbound.push(numbered(2), 1.2)
    heard, said = tracks.read(1.2, last=False)
    assert (heard, said) == (numbered(1), numbered(0))
    heard, _ = tracks.read(1.7, last=False)  # by then it is known to be a gap
    assert filled(heard) == [(False, int(1.2 * SECOND) - 320)]
    heard, _ = tracks.read(1.7, last=True)
    assert heard == numbered(2)
