"""What has come lately, by a clock of the test's."""

from mediaserver.server.flows.recent import RecentKeys


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_known_for_ten_minutes_after_it_came_first() -> None:
    clock = Clock()
    keys = RecentKeys(clock)
    assert keys.add("a")
    clock.now += 599.0
    assert not keys.add("a")
    assert "a" in keys
    clock.now += 1.0
    assert "a" not in keys
    assert keys.add("a")


def test_a_key_that_is_forgotten_may_come_again() -> None:
    keys = RecentKeys(Clock())
    keys.add("a")
    keys.add("b")
    keys.discard("a")
    keys.discard("c")
    assert [keys.add(key) for key in "ab"] == [True, False]


def test_the_oldest_are_forgotten_where_there_are_too_many() -> None:
    keys = RecentKeys(Clock(), most=3)
    for key in "abcd":
        keys.add(key)
    assert [key in keys for key in "abcd"] == [False, True, True, True]
