from mediaserver.playout.prompts.cache import ItemCache
from mediaserver.playout.prompts.encoded_frames import Items

FRAME = bytes(324)
ONE = Items([FRAME] * 10, 1600)  # 3650 bytes with the interpreter's share


def test_the_least_recently_used_goes_first() -> None:
    cache = ItemCache(limit=2 * ONE.size)
    cache.put("a", ONE)
    cache.put("b", ONE)
    assert cache.get("a") is ONE
    cache.put("c", ONE)
    assert cache.get("b") is None
    assert cache.get("a") is ONE
    assert cache.get("c") is ONE
    assert cache.bytes == 2 * ONE.size
    assert (cache.hits, cache.misses, cache.evictions) == (3, 1, 1)
    cache.put("d", ONE)
    assert cache.get("a") is cache.get("b") is None
    assert (cache.hits, cache.misses, cache.evictions) == (3, 3, 2)


def test_what_was_asked_for_last_stays_even_where_it_is_over_the_limit() -> None:
    cache = ItemCache(limit=100)
    cache.put("a", ONE)
    assert cache.get("a") is ONE
    cache.put("b", ONE)
    assert cache.get("b") is ONE
    assert cache.get("a") is None


def test_putting_again_replaces() -> None:
    cache = ItemCache(limit=10 * ONE.size)
    cache.put("a", ONE)
    cache.put("a", Items([FRAME], 160))
    assert cache.bytes == 365
    cache.drop("a")
    cache.drop("a")
    assert cache.bytes == 0
