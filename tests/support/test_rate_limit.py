"""Rate limits, by a fake clock."""

from mediaserver.support.rate_limit import LogLimiter, RateLimiter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_token_bucket_has_the_tokens_of_a_second_and_then_one_by_one() -> None:
    clock = Clock()
    bucket = RateLimiter(clock)
    assert [bucket.try_acquire(10) for _ in range(12)] == [True] * 10 + [False] * 2
    clock.now += 0.25
    assert [bucket.try_acquire(10) for _ in range(4)] == [True] * 2 + [False] * 2
    clock.now += 60
    assert sum(bucket.try_acquire(10) for _ in range(99)) == 10  # no more than one second is saved up


def test_a_logged_line_tells_how_many_were_left_out_before_it() -> None:
    clock = Clock()
    lines = LogLimiter(2, clock)
    assert [lines.try_acquire() for _ in range(5)] == [{}, {}, None, None, None]
    clock.now += 1
    assert [lines.try_acquire() for _ in range(3)] == [{"unlogged": 3}, {}, None]
