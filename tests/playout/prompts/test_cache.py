from mediaserver.playout.prompts.cache import LruCache
from mediaserver.playout.prompts.encoded_frames import EncodedFrames

FRAME = bytes(324)
ONE = EncodedFrames([FRAME] * 10, 1600)  # 3650 bytes with the interpreter's share


def test_the_least_recently_used_entry_is_evicted_first() -> None:
    cache = LruCache(limit=2 * ONE.size)
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


def test_the_newest_entry_stays_even_where_it_is_over_the_limit() -> None:
    cache = LruCache(limit=100)
    cache.put("a", ONE)
    assert cache.get("a") is ONE
    cache.put("b", ONE)
    assert cache.get("b") is ONE
    assert cache.get("a") is None


def test_an_entry_put_again_replaces_the_old_one() -> None:
    cache = LruCache(limit=10 * ONE.size)
    cache.put("a", ONE)
    cache.put("a", EncodedFrames([FRAME], 160))
    assert cache.bytes == 365
    cache.pop("a")
    cache.pop("a")
    assert cache.bytes == 0
