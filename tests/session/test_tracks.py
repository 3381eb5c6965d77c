"""Two sides of a recording on one clock: gaps are silence, what was only late has its place."""

import random

import pytest

from mediaserver.session.tracks import Tracks

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
                tracks.heard.add(numbered(frame), now)
        tracks.said.add(numbered(n), now)
        if n % 50 == 49:
            for side, more in zip(written, tracks.take(now, last=False), strict=True):
                side += more
    for side, more in zip(written, tracks.take(seconds, last=True), strict=True):
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
def test_what_a_network_held_is_put_in_its_place(hold: float) -> None:
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


@pytest.mark.parametrize("quiet", [1.0, 15.0])
def test_a_caller_who_sends_nothing_for_a_while_is_silent_for_so_long(quiet: float) -> None:
    frames = round(quiet / FRAME)
    arrivals = {(n + 1) * FRAME: [n] for n in range(1500) if not 100 <= n < 100 + frames}
    rows = recorded(arrivals, 30)
    assert max(map(abs, drift(rows))) <= 1
    silent = [said for heard, said in rows if not heard]
    assert silent[0] in (101, 102)
    assert abs(len(silent) - frames) <= 1


def test_nothing_of_either_side_is_lost_or_doubled() -> None:
    rows = recorded(held(1500, (3.0, 4.0), (4.1, 7.0), (20.0, 20.5)), 30)
    assert [heard for heard, _ in rows if heard] == list(range(1, 1501))
    assert [said for _, said in rows if said] == list(range(1, 1501))


def test_what_nobody_heard_is_taken_back() -> None:
    tracks = Tracks()
    for n in range(8):
        tracks.said.add(numbered(n), FRAME)
    tracks.said.take_back(3 * 320)
    assert tracks.said.take(6 * 320) == b"".join(map(numbered, range(5))) + bytes(320)
    tracks.said.take_back(320)  # what is written stays
    assert len(tracks.said) == 0
