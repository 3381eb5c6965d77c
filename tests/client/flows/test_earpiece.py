"""What the caller hears of several media: exact frames at exact places, from frames that come with jitter."""

import numpy as np

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.client.flows.earpiece import Earpiece


def frame(value: int) -> bytes:
    return to_bytes(np.full(160, value, np.int16))


class Heard:
    """What an earpiece gives, with its gaps as silence."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.gaps: list[int] = []
        self.earpiece = Earpiece(self.frames.append, self._gap)

    def _gap(self, frames: int) -> None:
        self.gaps.append(frames)
        self.frames += frames * [SILENCE]


def test_one_media_is_heard_at_once_and_without_gaps_whatever_its_jitter() -> None:
    heard = Heard()
    for n, jitter in enumerate((0.0, 0.0, 0.055, 0.04, 0.02, 0.0)):
        heard.earpiece.push(1, frame(n + 1), 0.1 + n * 0.02 + jitter)
        assert heard.frames == [SILENCE] * 5 + [frame(k + 1) for k in range(n + 1)]
    assert heard.gaps == [5]


def test_a_stall_is_a_gap() -> None:
    heard = Heard()
    heard.earpiece.push(1, frame(1), 0.001)
    heard.earpiece.push(1, frame(2), 0.501)
    assert heard.frames == [frame(1), *24 * [SILENCE], frame(2)]


def test_two_media_are_mixed_and_clipped() -> None:
    heard = Heard()
    heard.earpiece.push(1, frame(20_000), 0.001)
    heard.earpiece.push(2, frame(20_000), 0.002)
    assert heard.frames[0] == frame(20_000)  # given before the second media began
    heard.earpiece.push(1, frame(-1), 0.021)
    heard.earpiece.push(2, frame(3), 0.022)
    heard.earpiece.push(1, frame(20_000), 0.041)
    heard.earpiece.push(2, frame(5), 0.042)
    heard.earpiece.media_ended(1)
    heard.earpiece.finish(0.1)
    assert heard.frames == [frame(20_000), frame(19_999), frame(20_003), frame(5), SILENCE]


def test_the_end_is_that_of_the_call() -> None:
    heard = Heard()
    heard.earpiece.push(1, frame(7), 0.05)
    heard.earpiece.media_ended(1)
    heard.earpiece.finish(0.2)
    assert heard.frames == [SILENCE, SILENCE, frame(7), *7 * [SILENCE]]
    assert heard.gaps == [2, 7]


def test_a_media_that_says_nothing_delays_no_other_for_long() -> None:
    heard = Heard()
    heard.earpiece.push(2, frame(1), 0.001)
    for n in range(20):
        heard.earpiece.push(1, frame(9), n * 0.02 + 0.002)
    assert len(heard.frames) == 9
