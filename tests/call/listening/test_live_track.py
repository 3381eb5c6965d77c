"""A track as a listener hears it: audio in its place in time, silence where there is none."""

import pytest

from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.call.listening.live_track import LiveTrack

DELAY = 5  # frames by which the track is read late


def numbered(n: int) -> bytes:
    return (n % 30_000 + 1).to_bytes(2, "little") * 160


def heard(arrivals: dict[int, list[int]], frames: int, ahead: int = 0) -> list[int]:
    """The numbers of the frames that are heard at each frame's time, 0 for silence.

    `arrivals` has the numbers of the frames that come at a time, in frames.
    """
    track, pcm = LiveTrack(ahead * FRAME_BYTES), b""
    for now in range(1, frames + 1):
        for n in arrivals.get(now, []):
            track.push(numbered(n), (now + ahead) * FRAME_BYTES)
        if now > DELAY:
            pcm += track.read(FRAME_BYTES)
    return [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), FRAME_BYTES)]


def held(frames: int, start: int, end: int) -> dict[int, list[int]]:
    """Frames that come when they are due, but for those that a network holds from one time to another."""
    arrivals: dict[int, list[int]] = {}
    for n in range(frames):
        at = n + 1
        arrivals.setdefault(end if start <= at < end else at, []).append(n)
    return arrivals


def test_frames_are_heard_in_order() -> None:
    assert heard(held(100, 0, 0), 105) == list(range(1, 101))


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_audio_that_is_late_by_less_than_the_delay_has_its_place(frames: int) -> None:
    assert heard(held(200, 50, 50 + frames), 200) == list(range(1, 196))


@pytest.mark.parametrize("frames", [6, 20, 100])
def test_a_gap_is_silence_and_what_follows_has_its_place(frames: int) -> None:
    arrivals = {n + 1: [n] for n in range(300) if not 100 <= n < 100 + frames}
    assert heard(arrivals, 305) == [n + 1 if n + 1 in arrivals else 0 for n in range(300)]


@pytest.mark.parametrize("frames", [3, 5])
def test_a_gap_that_is_shorter_than_the_delay_is_made_up_for_within_half_a_second(frames: int) -> None:
    arrivals = {n + 1: [n] for n in range(300) if not 100 <= n < 100 + frames}
    got = heard(arrivals, 300)
    assert got[:100] == list(range(1, 101))
    assert got[100 + 60 :] == list(range(161, 296))
    assert [n for n in got if n] == [n + 1 for n in range(295) if n + 1 in arrivals]
    assert got.count(0) == frames


def test_audio_that_comes_after_its_time_is_heard_once_its_place_is_right_again() -> None:
    got = heard(held(300, 100, 130), 300)
    assert got[:99] == list(range(1, 100))
    assert not any(got[99:125])
    assert got[190:] == list(range(191, 296))


def test_audio_that_is_sent_ahead_of_its_time_is_heard_when_it_is_played() -> None:
    arrivals = {n + 1: [n] for n in range(100)}
    assert heard(arrivals, 105, ahead=50)[:100] == [*[0] * 50, *range(1, 51)]


def test_what_is_taken_back_is_not_heard() -> None:
    track = LiveTrack()
    for n in range(5):
        track.push(numbered(n), (n + 1) * FRAME_BYTES)
    track.retract(2 * FRAME_BYTES)
    assert track.read(5 * FRAME_BYTES) == numbered(0) + numbered(1) + numbered(2) + bytes(2 * FRAME_BYTES)


def test_what_is_dropped_is_counted() -> None:
    track, dropped = LiveTrack(), 0
    for now in range(1, 101):
        dropped += track.push(numbered(now) * 2, now * FRAME_BYTES)  # at twice real time
    assert dropped == 200 * FRAME_BYTES - len(track)
    assert len(track) - 100 * FRAME_BYTES <= 30 * FRAME_BYTES


@pytest.mark.parametrize(("ahead", "dropped"), [(3, 0), (4, 4)])
def test_audio_that_is_ahead_by_up_to_three_frames_is_kept(ahead: int, dropped: int) -> None:
    track, lost = LiveTrack(), 0
    for now in range(1, 101):
        lost += track.push(numbered(now) * (ahead + 1 if now == 1 else 1), now * FRAME_BYTES)
    assert lost == dropped * FRAME_BYTES
    assert len(track) == (100 + ahead - dropped) * FRAME_BYTES
