"""The cache of decoded files: a file is found again by its content, and by nothing else."""

import asyncio
import os
import time
from io import BufferedReader
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decode_cache import CacheLookup, DecodeCache
from mediaserver.playout.decoding.fingerprint import decoder_fingerprint
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.encoded_frames import PCM_BLOCK_BYTES, FrameEncoder
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.support.store import Store
from mediaserver.wire.encapsulation import PCM, PCMU
from tests.audio import p56
from tests.playout.decoding.decoders import pcm_of
from tests.sound import Pcm, convert, sine, speechlike, write_wav
from tests.timing import UNIT

LIMIT = 10_000_000
LATER = 10.0  # seconds after which a file's times can be relied on


def cache_in(folder: Path, fingerprint: str = "one") -> DecodeCache:
    return DecodeCache(Store(str(folder / "cache"), LIMIT), fingerprint)


def upper(file: BufferedReader) -> bytes:
    return file.read().upper()


def title(file: BufferedReader) -> bytes:
    return file.read().title()


def never(file: BufferedReader) -> bytes:
    raise AssertionError(f"decoded again {file.read()!r}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize("later", [0, LATER])
def test_the_same_content_is_decoded_once(tmp_path: Path, path: Path, later: float) -> None:
    now = time.time() + later
    assert cache_in(tmp_path).get_or_decode(str(path), upper, now) == CacheLookup(b"CONTENT", "miss")
    assert cache_in(tmp_path).get_or_decode(str(path), never, now) == CacheLookup(b"CONTENT", "hit")
    copy = tmp_path / "b.wav"
    copy.write_bytes(b"content")
    assert cache_in(tmp_path).get_or_decode(str(copy), never, now) == CacheLookup(b"CONTENT", "hit")


def test_another_fingerprint_or_extension_is_decoded_anew(tmp_path: Path, path: Path) -> None:
    for now in (time.time(), time.time() + LATER):
        cache_in(tmp_path).get_or_decode(str(path), upper, now)
    assert cache_in(tmp_path, "two").get_or_decode(str(path), title, time.time()) == CacheLookup(
        b"Content", "miss"
    )
    path.rename(tmp_path / "a.ulaw")
    assert cache_in(tmp_path).get_or_decode(str(tmp_path / "a.ulaw"), title, time.time()).stored == "miss"


@pytest.mark.parametrize("later", [0, LATER])
def test_other_content_of_the_same_size_and_time_is_decoded(tmp_path: Path, path: Path, later: float) -> None:
    """Written in place: the inode is the same too."""
    was = path.stat()
    cache_in(tmp_path).get_or_decode(str(path), upper, time.time() + later)
    while path.stat().st_ctime_ns == was.st_ctime_ns:  # clocks of file systems are coarse
        path.write_bytes(b"another")
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert cache_in(tmp_path).get_or_decode(str(path), upper, time.time() + later) == CacheLookup(
        b"ANOTHER", "miss"
    )


def test_a_file_that_changed_just_now_is_read_again(tmp_path: Path, path: Path) -> None:
    """In the same tick of the clock it may change once more, and look the same."""
    now = path.stat().st_ctime + 0.5
    cache_in(tmp_path).get_or_decode(str(path), upper, now)
    assert len(list((tmp_path / "cache").iterdir())) == 2  # the tally, and the decoded file
    cache_in(tmp_path).get_or_decode(str(path), never, now + LATER)
    assert len(list((tmp_path / "cache").iterdir())) == 3  # and its state, so that it need not be read


@pytest.mark.parametrize(
    "changed",
    [
        "mediaserver.playout.decoding.fingerprint.__version__",
        "mediaserver.playout.decoding.fingerprint.DECODER_REVISION",
    ],
)
def test_another_version_has_another_fingerprint(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    before = decoder_fingerprint()
    monkeypatch.setattr(changed, "another")
    assert decoder_fingerprint() != before


def test_times_in_whole_seconds_are_not_relied_on(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next image's file may have the same, and other content."""
    monkeypatch.setattr(
        "mediaserver.playout.decoding.decode_cache._SECOND", 1
    )  # so that any time is a whole number of it
    cache_in(tmp_path).get_or_decode(str(path), upper, time.time() + LATER)
    assert len(list((tmp_path / "cache").iterdir())) == 2  # the tally, and the decoded file


@pytest.mark.parametrize("tick", [False, True])
def test_a_file_that_changes_while_it_is_decoded_is_not_cached(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, tick: bool
) -> None:
    """Even where it happens in one tick of the file system's clock, so that no time tells of it."""
    if tick:
        monkeypatch.setattr(
            "mediaserver.playout.decoding.decode_cache._state", lambda found: (found.st_ino, found.st_size)
        )

    def slowly(file: BufferedReader) -> bytes:
        content = file.read()
        path.write_bytes(b"another" if tick else b"something longer")
        return content.upper()

    assert cache_in(tmp_path).get_or_decode(str(path), slowly, time.time()).decoded == b"CONTENT"
    path.write_bytes(b"content")
    assert cache_in(tmp_path).get_or_decode(str(path), upper, time.time()).stored == "miss"


def test_a_file_that_is_deleted_while_it_is_decoded_is_no_failure_of_the_cache(tmp_path: Path, path: Path) -> None:
    def slowly(file: BufferedReader) -> bytes:
        content = file.read()
        path.unlink()
        return content.upper()

    assert cache_in(tmp_path).get_or_decode(str(path), slowly, time.time()) == CacheLookup(b"CONTENT", "miss")


def test_a_file_that_cannot_be_decoded_is_not_cached(tmp_path: Path, path: Path) -> None:
    def fail(file: BufferedReader) -> bytes:
        raise PromptError("is no sound")

    for _ in range(2):
        with pytest.raises(PromptError):
            cache_in(tmp_path).get_or_decode(str(path), fail, time.time())
    path.unlink()
    with pytest.raises(FileNotFoundError):
        cache_in(tmp_path).get_or_decode(str(path), upper, time.time())


# -- with real decoders -------------------------------------------------------------------------------------------


async def started(folder: Path, cache: Path | None) -> tuple[PromptLibrary, DecodePool]:
    """A library as a server has it when it starts."""
    pool = DecodePool(cache, LIMIT)
    library = PromptLibrary(folder / "prompts", LIMIT, pool)
    await library.load((PCM, PCMU))
    return library, pool


async def test_a_second_start_decodes_nothing_and_sounds_the_same(tmp_path: Path, ffmpeg: str) -> None:
    write_wav(tmp_path / "prompts/a.wav", sine(440, 1, 44100) * 30_000, 44100)
    convert(ffmpeg, tmp_path / "prompts/a.wav", tmp_path / "prompts/b.mp3")
    (tmp_path / "prompts/c.ulaw").write_bytes(bytes(range(256)))
    (tmp_path / "prompts/broken.wav").write_bytes(b"no sound")
    first, pool = await started(tmp_path, tmp_path / "cache")
    assert (pool.stored, pool.decodes) == ({"hit": 0, "miss": 3, "failed": 0}, 4)
    second, pool = await started(tmp_path, tmp_path / "cache")
    assert (pool.stored, pool.decodes) == ({"hit": 3, "miss": 0, "failed": 0}, 1)
    assert second.problems == first.problems
    for name, prompt in first.prompts.items():
        same = second.prompts[name]
        assert (same.samples, same.info) == (prompt.samples, prompt.info)
        assert [same.get_frames(each) for each in (PCM, PCMU)] == [prompt.get_frames(each) for each in (PCM, PCMU)]


async def test_a_cache_folder_that_cannot_be_used_is_logged_once_and_costs_no_prompt(tmp_path: Path) -> None:
    for name in "abc":
        write_wav(tmp_path / f"prompts/{name}.wav", speechlike(1600, ord(name)))
    (tmp_path / "cache").write_bytes(b"a file in its place")
    with capture_logs() as logged:
        library, pool = await started(tmp_path, tmp_path / "cache")
    assert sorted(library.prompts) == ["a", "b", "c"]
    assert pool.stored == {"hit": 0, "miss": 0, "failed": 3}
    assert [line["event"] for line in logged] == ["prompt cache write failed"]


async def test_prompts_are_cached_by_their_level_and_recordings_stay_as_they_are(
    tmp_path: Path,
) -> None:
    voice = speechlike(8000)
    path = write_wav(tmp_path / "a.wav", voice)
    heard = {}
    for loudness in (None, -30.0, -30.0, None):
        pool = DecodePool(tmp_path / "cache", LIMIT, conditioning=Conditioning(loudness))
        pcm = await pcm_of(pool, path)
        assert pool.stored == {"hit": int(loudness in heard), "miss": int(loudness not in heard), "failed": 0}
        assert heard.setdefault(loudness, pcm) == pcm
        assert await pcm_of(pool, path, store=False) == to_bytes(voice)
        await pool.release_decoders()
    assert heard[None] == to_bytes(voice)
    assert p56.active_level(from_bytes(heard[-30.0])) == pytest.approx(-30, abs=0.1)


async def test_a_recording_is_not_copied_to_the_cache(tmp_path: Path) -> None:
    recording = write_wav(tmp_path / "recordings/a.wav", speechlike(1000))
    (tmp_path / "prompts").mkdir()
    library, pool = await started(tmp_path, tmp_path / "cache")
    sound = await library.decode(recording)
    assert list(sound.get_frames(PCMU).frames) == PCMU.packetize(to_bytes(speechlike(1000)))
    assert sound.samples == 1000
    assert not (tmp_path / "cache").exists()
    assert pool.decodes == 1
    await library.close()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one decoder at a time")
async def test_one_block_at_a_time_is_encoded(tmp_path: Path) -> None:
    """However many files come at once: a turn of the loop handles a block at most, in one encoding."""
    long = speechlike(PCM_BLOCK_BYTES + 100)
    for name in "abcd":
        write_wav(tmp_path / f"{name}.wav", long)
    inside = most = 0

    class Slow(FrameEncoder):
        async def feed_pcm(self, pcm: bytes) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            assert len(pcm) <= PCM_BLOCK_BYTES
            await super().feed_pcm(pcm)
            await asyncio.sleep(0.05 * UNIT)  # the others' blocks are here long before
            inside -= 1

    pool = DecodePool()
    decoded = await asyncio.gather(
        *(pool.decode(tmp_path / f"{name}.wav", lambda: Slow((PCM, PCMU))) for name in "abcd")
    )
    await pool.release_decoders()
    assert most == 1
    for _, encoder in decoded:
        assert list(encoder.encoded["pcmu"].frames) == PCMU.packetize(to_bytes(long))


async def test_blocks_are_whole_frames_and_complete(tmp_path: Path) -> None:
    long = speechlike(PCM_BLOCK_BYTES + 77)
    pool = DecodePool()
    _, sink = await pool.decode(write_wav(tmp_path / "a.wav", long), Pcm)
    await pool.release_decoders()
    assert [len(block) for block in sink.blocks] == [PCM_BLOCK_BYTES, PCM_BLOCK_BYTES, 154]
    assert b"".join(sink.blocks) == to_bytes(long)
