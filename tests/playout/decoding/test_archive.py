"""What was decoded before is found again, by the content of its file and by nothing else."""

import asyncio
import os
import time
from io import BufferedReader
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver.audio.pcm import to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.archive import Archive, Found
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.decoding.recipe import recipe
from mediaserver.playout.prompts.encoded_frames import BLOCK, Making
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.support.store import Store
from mediaserver.wire.encapsulation import PCM, PCMU
from tests.sound import Pcm, convert, sine, speechlike, write_wav
from tests.timing import UNIT

LIMIT = 10_000_000
LATER = 10.0  # seconds after which a file's times can be relied on


def archive_in(folder: Path, recipe: str = "one") -> Archive:
    return Archive(Store(str(folder / "cache"), LIMIT), recipe)


def upper(file: BufferedReader) -> bytes:
    return file.read().upper()


def title(file: BufferedReader) -> bytes:
    return file.read().title()


def never(file: BufferedReader) -> bytes:
    raise AssertionError(f"made again of {file.read()!r}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize("later", [0, LATER])
def test_the_same_content_is_made_once(tmp_path: Path, path: Path, later: float) -> None:
    now = time.time() + later
    assert archive_in(tmp_path).find(str(path), upper, now) == Found(b"CONTENT", "miss")
    assert archive_in(tmp_path).find(str(path), never, now) == Found(b"CONTENT", "hit")
    copy = tmp_path / "b.wav"
    copy.write_bytes(b"content")
    assert archive_in(tmp_path).find(str(copy), never, now) == Found(b"CONTENT", "hit")


def test_another_recipe_or_kind_of_file_is_made_anew(tmp_path: Path, path: Path) -> None:
    for now in (time.time(), time.time() + LATER):
        archive_in(tmp_path).find(str(path), upper, now)
    assert archive_in(tmp_path, "two").find(str(path), title, time.time()) == Found(b"Content", "miss")
    path.rename(tmp_path / "a.ulaw")
    assert archive_in(tmp_path).find(str(tmp_path / "a.ulaw"), title, time.time()).stored == "miss"


@pytest.mark.parametrize("later", [0, LATER])
def test_other_content_of_the_same_size_and_time_is_seen(tmp_path: Path, path: Path, later: float) -> None:
    """Written in place: the inode is the same too."""
    was = path.stat()
    archive_in(tmp_path).find(str(path), upper, time.time() + later)
    while path.stat().st_ctime_ns == was.st_ctime_ns:  # clocks of file systems are coarse
        path.write_bytes(b"another")
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert archive_in(tmp_path).find(str(path), upper, time.time() + later) == Found(b"ANOTHER", "miss")


def test_a_file_that_changed_just_now_is_read_again(tmp_path: Path, path: Path) -> None:
    """In the same tick of the clock it may change once more, and look the same."""
    now = path.stat().st_ctime + 0.5
    archive_in(tmp_path).find(str(path), upper, now)
    assert len(list((tmp_path / "cache").iterdir())) == 2  # the tally, and what it became
    archive_in(tmp_path).find(str(path), never, now + LATER)
    assert len(list((tmp_path / "cache").iterdir())) == 3  # and that it need not be read


@pytest.mark.parametrize(
    "changed", ["mediaserver.playout.decoding.recipe.__version__", "mediaserver.playout.decoding.recipe.DECODING"]
)
def test_another_version_has_another_recipe(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    before = recipe()
    monkeypatch.setattr(changed, "another")
    assert recipe() != before


def test_times_in_whole_seconds_are_not_relied_on(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next image's file may have the same, and other content."""
    monkeypatch.setattr(
        "mediaserver.playout.decoding.archive._SECOND", 1
    )  # so that any time is a whole number of it
    archive_in(tmp_path).find(str(path), upper, time.time() + LATER)
    assert len(list((tmp_path / "cache").iterdir())) == 2  # the tally, and what it became


@pytest.mark.parametrize("tick", [False, True])
def test_what_changes_while_it_is_made_is_not_kept(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, tick: bool
) -> None:
    """Even where it happens in one tick of the file system's clock, so that no time tells of it."""
    if tick:
        monkeypatch.setattr(
            "mediaserver.playout.decoding.archive._state", lambda found: (found.st_ino, found.st_size)
        )

    def slowly(file: BufferedReader) -> bytes:
        content = file.read()
        path.write_bytes(b"another" if tick else b"something longer")
        return content.upper()

    assert archive_in(tmp_path).find(str(path), slowly, time.time()).made == b"CONTENT"
    path.write_bytes(b"content")
    assert archive_in(tmp_path).find(str(path), upper, time.time()).stored == "miss"


def test_what_is_deleted_while_it_is_made_is_no_failure_of_the_store(tmp_path: Path, path: Path) -> None:
    def slowly(file: BufferedReader) -> bytes:
        content = file.read()
        path.unlink()
        return content.upper()

    assert archive_in(tmp_path).find(str(path), slowly, time.time()) == Found(b"CONTENT", "miss")


def test_what_cannot_be_made_is_not_kept(tmp_path: Path, path: Path) -> None:
    def fail(file: BufferedReader) -> bytes:
        raise PromptError("is no sound")

    for _ in range(2):
        with pytest.raises(PromptError):
            archive_in(tmp_path).find(str(path), fail, time.time())
    path.unlink()
    with pytest.raises(FileNotFoundError):
        archive_in(tmp_path).find(str(path), upper, time.time())


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
        assert (same.samples, same.about) == (prompt.samples, prompt.about)
        assert [same.open(each) for each in (PCM, PCMU)] == [prompt.open(each) for each in (PCM, PCMU)]


async def test_a_folder_that_goes_away_is_told_once_and_costs_no_prompt(tmp_path: Path) -> None:
    for name in "abc":
        write_wav(tmp_path / f"prompts/{name}.wav", speechlike(1600, ord(name)))
    (tmp_path / "cache").write_bytes(b"a file in its place")
    with capture_logs() as logged:
        library, pool = await started(tmp_path, tmp_path / "cache")
    assert sorted(library.prompts) == ["a", "b", "c"]
    assert pool.stored == {"hit": 0, "miss": 0, "failed": 3}
    assert [line["event"] for line in logged] == ["decoded prompts are not kept on disk"]


async def test_a_recording_is_not_copied_to_the_cache(tmp_path: Path) -> None:
    recording = write_wav(tmp_path / "recordings/a.wav", speechlike(1000))
    (tmp_path / "prompts").mkdir()
    library, pool = await started(tmp_path, tmp_path / "cache")
    sound = await library.decode(recording)
    assert list(sound.open(PCMU).items) == PCMU.packetize(to_bytes(speechlike(1000)))
    assert sound.samples == 1000
    assert not (tmp_path / "cache").exists()
    assert pool.decodes == 1
    await library.close()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one decoder at a time")
async def test_one_block_at_a_time_is_made_into_items(tmp_path: Path) -> None:
    """However many files come at once: a turn of the loop handles a block at most, in one encoding."""
    long = speechlike(BLOCK + 100)
    for name in "abcd":
        write_wav(tmp_path / f"{name}.wav", long)
    inside = most = 0

    class Slow(Making):
        async def take(self, pcm: bytes) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            assert len(pcm) <= BLOCK
            await super().take(pcm)
            await asyncio.sleep(0.05 * UNIT)  # the others' blocks are here long before
            inside -= 1

    pool = DecodePool()
    decoded = await asyncio.gather(
        *(pool.decode(tmp_path / f"{name}.wav", lambda: Slow((PCM, PCMU))) for name in "abcd")
    )
    await pool.rest()
    assert most == 1
    for _, making in decoded:
        assert list(making.items["pcmu"].items) == PCMU.packetize(to_bytes(long))


async def test_blocks_are_whole_frames_and_all_of_it(tmp_path: Path) -> None:
    long = speechlike(BLOCK + 77)
    pool = DecodePool()
    _, taken = await pool.decode(write_wav(tmp_path / "a.wav", long), Pcm)
    await pool.rest()
    assert [len(block) for block in taken.blocks] == [BLOCK, BLOCK, 154]
    assert b"".join(taken.blocks) == to_bytes(long)
