"""Prompts that change while calls go on."""

import asyncio
import gc
import itertools
import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from mediaserver.audio.pcm import Samples, to_bytes
from mediaserver.config.settings import PromptSettings
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decode import decode_file
from mediaserver.playout.decoding.pool import DecodePool, Description
from mediaserver.playout.prompts.change_events import Notices, has_notices, kind_of
from mediaserver.playout.prompts.changes import Changes
from mediaserver.playout.prompts.encoded_frames import BLOCK, Items
from mediaserver.playout.prompts.library import PromptLibrary, Reloaded
from mediaserver.playout.prompts.scan import ABSENT, Inventory, Sight
from mediaserver.playout.prompts.watch import watch
from mediaserver.playout.sources.source import Playlist, Repeated
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU, Encoding
from tests.playout.prompts.test_library import decoders
from tests.sound import speechlike, write_wav
from tests.timing import UNIT, eventually, late
from tests.virtual import VirtualLoop, in_virtual_time

OLD, NEW = speechlike(1600, 1), speechlike(2400, 2)
_ages = itertools.count(1)


class InlinePool(DecodePool):
    """Decodes at once: another process takes real time, of which there is none here."""

    async def decode(self, path: Path, taker, *, store: bool = True):
        self.decodes += 1
        decoded, taken = decode_file(path), taker()
        for at in range(0, len(decoded.pcm), BLOCK):
            await taken.take(decoded.pcm[at : at + BLOCK])
        return Description(decoded.source, decoded.peak_dbfs, decoded.loudness_lufs), taken


class TimedPool(InlinePool):
    """Takes as many milliseconds for a file as its name says."""

    async def decode(self, path: Path, taker, *, store: bool = True):
        await asyncio.sleep(int(path.stem) / 1000)
        return await super().decode(path, taker, store=store)


def put(path: Path, samples: Samples) -> Path:
    """A sound file of a time of its own, however soon it follows the one before it."""
    write_wav(path, samples)
    os.utime(path, (next(_ages), 0))
    return path


def items(samples: Samples, encoding: Encoding = PCM) -> Items:
    """What is sent of samples."""
    return Items(tuple(encoding.packetize(to_bytes(samples))), len(samples))


def heard(library: PromptLibrary, name: str, encoding: Encoding = PCM) -> Items:
    """What a new call hears, at once."""
    opened = library.catalogue.get(name).open(encoding)
    assert isinstance(opened, Items)
    return Items(tuple(opened.items), opened.samples)


async def loaded(directory: Path, limit: int = 1_000_000, encodings: Sequence[Encoding] = (PCM,)) -> PromptLibrary:
    library = PromptLibrary(directory, limit, InlinePool())
    await library.load(encodings)
    return library


async def refreshed(library: PromptLibrary, encodings: Sequence[Encoding] = (PCM,)) -> Reloaded | None:
    """Two looks, as far apart as they must be; what came of the second."""
    assert await library.refresh(encodings, settle=1.0) is None
    await asyncio.sleep(1.0)
    return await library.refresh(encodings, settle=1.0)


# -- what is told while a folder is taken in ----------------------------------------------------------------------


@in_virtual_time
async def test_prompts_become_known_ten_times_a_second_and_in_the_end(tmp_path: Path, loop: VirtualLoop) -> None:
    for ms in (40, 80, 100, 160):
        put(tmp_path / f"{ms}.wav", OLD)
    library, told = PromptLibrary(tmp_path, 1_000_000, TimedPool()), []
    await library.load((PCM,), lambda done, total: told.append((done, total, sorted(library.prompts))))
    some = ["100", "40", "80"]
    assert told == [(0, 4, []), (1, 4, []), (2, 4, []), (3, 4, some), (4, 4, some)]
    assert sorted(library.prompts) == ["100", "160", "40", "80"]


@in_virtual_time
async def test_what_is_known_of_a_prompt_is_that_of_its_file(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "music/a.wav", OLD)
    prompt = (await loaded(tmp_path)).catalogue.get("music/a")
    assert (prompt.name, prompt.path, prompt.samples) == ("music/a", path, 1600)
    decoded = decode_file(path)
    assert prompt.about == ("WAV 8000 Hz 16-bit mono", decoded.peak_dbfs, decoded.loudness_lufs)


def test_before_the_first_look_there_is_nothing_and_no_trouble(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path, 1_000_000, InlinePool())
    assert (library.folder, library.trouble, library.ignored, library.unsettled) == (None, "", [], False)
    assert (library.prompts, library.problems) == ({}, {})


@in_virtual_time
async def test_a_folder_that_is_not_there_at_first_is_a_trouble_and_no_file_that_fails(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    library = await loaded(tmp_path / "nowhere")
    assert (library.trouble, library.problems, library.prompts) == ("is not a folder", {}, {})


@in_virtual_time
async def test_a_sound_file_anywhere_is_decoded_or_named(tmp_path: Path, loop: VirtualLoop) -> None:
    (tmp_path / "prompts").mkdir()
    library = await loaded(tmp_path / "prompts")
    sound = (await library.decode(put(tmp_path / "a.wav", OLD))).open(PCM)
    assert Items(tuple(sound.items), sound.samples) == items(OLD)
    assert library.prompts == {}
    broken = tmp_path / "b.wav"
    broken.write_bytes(b"no sound")
    with pytest.raises(PromptError, match=rf"^{broken} is not a WAV file"):
        await library.decode(broken)


# -- what happens to a file ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_an_added_file_is_a_prompt(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "b.wav", OLD)
    library = await loaded(tmp_path)
    version = library.catalogue.version
    put(tmp_path / "music/a.wav", NEW)
    put(tmp_path / "a.wav", NEW)
    assert await refreshed(library) == Reloaded(added=["a", "music/a"])
    assert heard(library, "music/a") == items(NEW)
    assert sorted(library.prompts) == ["a", "b", "music/a"]
    assert library.catalogue.version > version


@in_virtual_time
async def test_a_replaced_file_is_heard_by_new_calls_at_once_in_all_encodings(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=(PCM, PCMU))
    await library.stock._make(library.catalogue.get("a"), MESSAGE)  # somebody asked for it
    put(path, NEW)
    assert await refreshed(library, (PCM, L16)) == Reloaded(replaced=["a"])
    misses = library.stock.cache.misses
    for encoding in (PCM, PCMU, MESSAGE, L16):
        assert heard(library, "a", encoding) == items(NEW, encoding)
    assert library.stock.cache.misses == misses
    assert library.stock.cache.bytes == sum(items(NEW, each).size for each in (PCM, PCMU, MESSAGE, L16))


@in_virtual_time
async def test_a_removed_file_is_no_prompt(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    version = library.catalogue.version
    path.unlink()
    assert await refreshed(library) == Reloaded(removed=["a"])
    with pytest.raises(PromptError, match='no prompt "a"'):
        library.catalogue.get("a")
    assert library.stock.cache.bytes == 0
    assert library.catalogue.version > version


@in_virtual_time
async def test_a_renamed_folder_renames_its_prompts(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "music/a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "music").rename(tmp_path / "songs")
    assert await refreshed(library) == Reloaded(added=["songs/a"], removed=["music/a"])
    assert [prompt.name for prompt in library.catalogue.match(["*"])] == ["songs/a"]


@in_virtual_time
async def test_nothing_changes_where_nothing_changed(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", OLD)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    library = await loaded(tmp_path)
    before = library.catalogue.version, library.pool.decodes, library.catalogue.get("a")
    for _ in range(3):
        assert await library.refresh(settle=1.0) is None
        assert not library.unsettled
        await asyncio.sleep(1)
    assert (library.catalogue.version, library.pool.decodes, library.catalogue.get("a")) == before


@in_virtual_time
async def test_a_file_of_the_same_size_and_time_is_known_by_its_inode(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    was = path.stat()
    put(tmp_path / "copy", OLD[::-1])
    os.utime(tmp_path / "copy", ns=(was.st_atime_ns, was.st_mtime_ns))
    (tmp_path / "copy").replace(path)
    assert await refreshed(library) == Reloaded(replaced=["a"])
    assert heard(library, "a") == items(OLD[::-1])


@in_virtual_time
async def test_a_name_may_change_its_kind_of_file(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "a.sln").write_bytes(to_bytes(NEW))
    assert await library.refresh() is None
    path.unlink()
    assert await refreshed(library) == Reloaded(replaced=["a"])
    assert heard(library, "a") == items(NEW)
    assert library.problems == {}


# -- files that cannot be played ----------------------------------------------------------------------------------


def spoil(path: Path) -> str:
    path.write_bytes(b"no sound at all")
    return "is not a WAV file: it does not begin with RIFF....WAVE"


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return "is empty"


def truncate(path: Path) -> str:
    os.truncate(put(path, NEW), 1044)
    return "is cut short: its header promises 4800 bytes of sound, 1000 are there"


def lead_nowhere(path: Path) -> str:
    path.unlink()
    path.symlink_to("nowhere")
    return "cannot be read: No such file or directory"


def put_a_pipe_there(path: Path) -> str:
    path.unlink()
    os.mkfifo(path)
    return "is not a regular file"


@pytest.mark.parametrize("breaking", [spoil, empty, truncate, lead_nowhere, put_a_pipe_there])
@in_virtual_time
async def test_a_broken_replacement_leaves_the_prompt_until_it_is_mended(
    tmp_path: Path, breaking: Callable[[Path], str], loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=(PCMU,))
    prompt, version = library.catalogue.get("a"), library.catalogue.version
    why = breaking(path)
    assert await refreshed(library) == Reloaded(failed={"a.wav": why})
    assert library.problems == {"a.wav": why}
    assert library.catalogue.get("a") is prompt
    assert library.catalogue.version == version
    assert heard(library, "a", PCMU) == items(OLD, PCMU)
    assert [*heard(library, "a", PCMA).items] == [
        PCMA.encode(PCMU.decode(item)) for item in items(OLD, PCMU).items
    ]
    decodes = library.pool.decodes
    assert await refreshed(library) is None
    assert library.pool.decodes == decodes  # not tried again as it is
    path.unlink()
    put(path, NEW)
    assert await refreshed(library) == Reloaded(replaced=["a"])
    assert library.problems == {}
    assert heard(library, "a") == items(NEW)


@in_virtual_time
async def test_a_second_file_of_the_name_leaves_the_prompt(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "a.sln").write_bytes(to_bytes(NEW))
    clash = {
        "a.sln": 'has the same name, "a", as a.wav',
        "a.wav": 'has the same name, "a", as a.sln',
    }
    assert await refreshed(library) == Reloaded(failed=clash)
    assert library.problems == clash
    assert heard(library, "a") == items(OLD)
    (tmp_path / "a.sln").unlink()
    await refreshed(library)
    assert library.problems == {}
    assert heard(library, "a") == items(OLD)


@in_virtual_time
async def test_a_new_file_that_is_broken_is_named_and_taken_in_when_mended(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    library = await loaded(tmp_path)
    why = spoil(tmp_path / "a.wav")
    assert await refreshed(library) == Reloaded(failed={"a.wav": why})
    with pytest.raises(PromptError, match=r'prompt "a" cannot be played: a\.wav is not a WAV file'):
        library.catalogue.get("a")
    put(tmp_path / "a.wav", NEW)
    assert await refreshed(library) == Reloaded(added=["a"])
    spoil(tmp_path / "b.wav")
    await refreshed(library)
    (tmp_path / "b.wav").unlink()
    assert await refreshed(library) is None
    assert library.problems == {}


# -- calls in progress --------------------------------------------------------------------------------------------


def replace(path: Path) -> None:
    put(path, NEW)


def spoil_it(path: Path) -> None:
    spoil(path)


@pytest.mark.parametrize("change", [replace, Path.unlink, spoil_it])
@pytest.mark.parametrize("encoding", [PCM, PCMU])
@pytest.mark.parametrize("length", [1600, 1000])  # of whole frames, and not
@in_virtual_time
async def test_a_loop_goes_on_with_what_it_plays(
    tmp_path: Path, length: int, encoding: Encoding, change: Callable[[Path], None], loop: VirtualLoop
) -> None:
    sound = OLD[:length]
    path = put(tmp_path / "a.wav", sound)
    library = await loaded(tmp_path, encodings=(encoding,))
    playlist = Playlist(Repeated([library.catalogue.get("a")], None))
    playing = playlist.items(encoding)
    sent = list(islice(playing, 7))
    change(path)
    assert await refreshed(library, (encoding,)) is not None
    sent += islice(playing, 200)
    assert sent == encoding.packetize(to_bytes(sound) * 40)[:207]
    assert playlist.underruns == 0


@in_virtual_time
async def test_a_call_may_change_its_encoding_after_its_prompt_is_gone(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=(PCM,))
    playlist = Playlist([library.catalogue.get("a")])
    playlist.items(PCM)
    path.unlink()
    await refreshed(library)
    assert list(playlist.items(MESSAGE, 4)) == MESSAGE.packetize(to_bytes(OLD))[4:]


@in_virtual_time
async def test_what_is_being_made_when_a_prompt_changes_is_its_calls_alone(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    put(path, NEW)
    assert await library.refresh() is None
    await asyncio.sleep(1)
    old = library.catalogue.get("a")
    reloading = asyncio.create_task(library.refresh((PCM,)))
    while old.kept is None:
        await asyncio.sleep(0)
    old.open(MESSAGE)  # begins to make it
    assert await reloading == Reloaded(replaced=["a"])
    await asyncio.sleep(1)
    assert old.open(MESSAGE) == items(OLD, MESSAGE)
    assert library.stock.cache.bytes == items(NEW).size


@in_virtual_time
async def test_memory_is_let_go_of_with_the_last_call(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    old = weakref.ref(library.catalogue.get("a"))
    calls = [Playlist(Repeated([library.catalogue.get("a")], None)).items(PCM) for _ in range(2)]
    assert [next(call) for call in calls] == [items(OLD).items[0]] * 2
    put(path, NEW)
    assert await refreshed(library) == Reloaded(replaced=["a"])
    calls.pop()
    gc.collect()
    assert old() is not None
    calls.pop()
    gc.collect()
    assert old() is None
    assert library.stock.cache.bytes == items(NEW).size


@in_virtual_time
async def test_what_memory_was_too_small_for_is_its_name_s_sound(tmp_path: Path, loop: VirtualLoop) -> None:
    """There is nothing left of the old one."""
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=())
    old = library.catalogue.get("a")
    put(path, NEW)
    await refreshed(library)
    opened = old.open(PCM)
    assert isinstance(opened, asyncio.Future)
    assert await opened == items(NEW)


# -- until it is settled ------------------------------------------------------------------------------------------


@asynccontextmanager
async def watching(library: PromptLibrary, **settings: object) -> AsyncIterator[list[tuple[float, Reloaded]]]:
    """Watch a library; what was told, with its time."""
    told: list[tuple[float, Reloaded]] = []
    clock = asyncio.get_running_loop().time
    how = PromptSettings.model_validate(settings)
    task = asyncio.create_task(watch(library, lambda: (PCM,), how, lambda new: told.append((clock(), new))))
    await asyncio.sleep(0)
    yield told
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


@in_virtual_time
async def test_a_file_is_taken_once_and_whole_when_it_grows_no_more(tmp_path: Path, loop: VirtualLoop) -> None:
    library = await loaded(tmp_path)
    content = to_bytes(speechlike(8000))
    async with watching(library, watch="poll", poll_interval=1, settle=1) as told:
        await asyncio.sleep(0.5)
        put(tmp_path / "other.wav", NEW)
        with (tmp_path / "a.sln").open("wb") as file:
            for at in range(0, len(content), 1600):  # ten pieces, the last after 7.7 s
                file.write(content[at : at + 1600])
                file.flush()
                await asyncio.sleep(0.8)
        await asyncio.sleep(10)
        assert told == [(2.0, Reloaded(added=["other"])), (9.0, Reloaded(added=["a"]))]
    assert heard(library, "a").items == tuple(PCM.packetize(content))


@pytest.mark.parametrize(
    ("poll_interval", "settle", "taken"), [(1.0, 1.0, 2.0), (5.0, 1.0, 10.0), (1.0, 2.5, 4.0)]
)
@in_virtual_time
async def test_a_change_is_taken_at_the_second_look_that_is_late_enough(
    tmp_path: Path, poll_interval: float, settle: float, taken: float, loop: VirtualLoop
) -> None:
    library = await loaded(tmp_path)
    async with watching(library, watch="poll", poll_interval=poll_interval, settle=settle) as told:
        await asyncio.sleep(0.5)
        put(tmp_path / "a.wav", OLD)
        await asyncio.sleep(20)
        assert told == [(taken, Reloaded(added=["a"]))]


@in_virtual_time
async def test_a_file_deleted_and_written_again_was_never_gone(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    async with watching(library, watch="poll", poll_interval=1, settle=1) as told:
        await asyncio.sleep(0.5)
        path.unlink()
        await asyncio.sleep(1)
        put(path, NEW)
        await asyncio.sleep(10)
        assert told == [(3.0, Reloaded(replaced=["a"]))]


@in_virtual_time
async def test_a_watch_outlives_whatever_goes_wrong(tmp_path: Path, loop: VirtualLoop) -> None:
    library = await loaded(tmp_path)
    encodings: list[Encoding] = []
    told: list[Reloaded] = []
    how = PromptSettings(watch="poll", poll_interval=1, settle=1)
    task = asyncio.create_task(watch(library, lambda: [encodings[0]], how, told.append))
    put(tmp_path / "a.wav", OLD)
    with capture_logs() as logged:
        await asyncio.sleep(10)
    assert [(line["event"], line["why"]) for line in logged] == [
        ("cannot look at the prompts", "list index out of range")
    ]
    encodings.append(PCM)
    await asyncio.sleep(3)
    task.cancel()
    assert told == [Reloaded(added=["a"])]


@in_virtual_time
async def test_nobody_watches_where_it_is_off(tmp_path: Path, loop: VirtualLoop) -> None:
    library = await loaded(tmp_path)
    await watch(library, lambda: (PCM,), PromptSettings(watch="off"), lambda new: None)


# -- what happens to the folder -----------------------------------------------------------------------------------


@in_virtual_time
async def test_a_folder_that_is_gone_leaves_its_prompts_and_is_told_once(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    put(folder / "b.wav", OLD)
    library = await loaded(folder)
    folder.rename(tmp_path / "away")
    gone = {".": "cannot be read: No such file or directory"}
    assert await refreshed(library) == Reloaded(failed=gone)
    assert await refreshed(library) is None
    assert library.problems == gone
    assert heard(library, "a") == items(OLD)
    put(tmp_path / "away/a.wav", NEW)
    (tmp_path / "away/b.wav").unlink()
    (tmp_path / "away").rename(folder)
    assert await refreshed(library) == Reloaded(replaced=["a"], removed=["b"], back=["."])
    assert library.problems == {}


@in_virtual_time
async def test_a_mount_point_without_its_mount_leaves_the_prompts(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    library = await loaded(folder)
    folder.rename(tmp_path / "away")
    folder.mkdir()
    assert await refreshed(library) == Reloaded(failed={".": "is another folder than it was, and empty"})
    assert heard(library, "a") == items(OLD)
    folder.rmdir()
    (tmp_path / "away").rename(folder)
    assert await refreshed(library) == Reloaded(back=["."])
    assert library.problems == {}


@in_virtual_time
async def test_a_folder_that_is_emptied_has_no_prompts(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    path.unlink()
    assert await refreshed(library) == Reloaded(removed=["a"])


@pytest.mark.parametrize("by", ["rename", "link", "data-link"])
@in_virtual_time
async def test_a_folder_in_another_s_place_is_taken_in(tmp_path: Path, by: str, loop: VirtualLoop) -> None:
    put(tmp_path / "one/a.wav", OLD)
    put(tmp_path / "two/a.wav", NEW)
    folder, link, fresh = tmp_path / "prompts", tmp_path / "prompts", tmp_path / "fresh"
    if by == "rename":
        (tmp_path / "one").rename(folder)
    else:
        if by == "data-link":  # as Kubernetes mounts a ConfigMap
            folder.mkdir()
            link = folder / "..data"
            (folder / "a.wav").symlink_to("..data/a.wav")
        link.symlink_to(tmp_path / "one")
    library = await loaded(folder)
    assert heard(library, "a") == items(OLD)
    if by == "rename":
        folder.rename(tmp_path / "old")
        (tmp_path / "two").rename(folder)
    else:
        fresh.symlink_to(tmp_path / "two")
        fresh.replace(link)
    assert await refreshed(library) == Reloaded(replaced=["a"])
    assert heard(library, "a") == items(NEW)


def test_what_is_in_a_folder_that_cannot_be_read_is_not_taken_for_gone() -> None:
    changes = Changes()
    file, other = (Sight(Path(name), {}, (None,)) for name in ("music/a.wav", "b.wav"))
    closed = Sight(None, {"music": "cannot be read: Permission denied"}, ())
    for name, sight in {"music/a": file, "b": other}.items():
        changes.take(name, sight)
    look = Inventory({"music/": closed}, [], (1, 1))
    assert changes.settled(look, 0.0, 0.0) == {"music/": closed, "b": ABSENT}
    changes.take("music/", closed)
    changes.take("b", ABSENT)
    assert changes.settled(look, 1.0, 0.0) == {}
    assert changes.settled(Inventory({"music/a": file}, [], (1, 1)), 2.0, 0.0) == {"music/": ABSENT}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@in_virtual_time
async def test_folders_that_can_be_read_again_are_named_as_paths(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "music/a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "music").chmod(0)
    assert await refreshed(library) == Reloaded(failed={"music": "cannot be read: Permission denied"})
    (tmp_path / "music").chmod(0o755)
    assert await refreshed(library) == Reloaded(back=["music"])


# -- with the system's notices, in real time ----------------------------------------------------------------------

LOOPS = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
QUICK = {"watch": "events", "poll_interval": 1000, "settle": 0.05}


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "prompt-notices" in thread.name]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert threads() == []
    assert decoders() == []


@LOOPS
def test_notices_wake_it_and_nothing_is_left_of_it(
    tmp_path: Path, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    put(tmp_path / "a.wav", OLD)

    async def run() -> None:
        library = PromptLibrary(tmp_path, 1_000_000, DecodePool())
        await library.load()
        async with watching(library, **QUICK) as told:
            await eventually(threads)
            await asyncio.sleep(0.1 * UNIT)  # for the thread to begin
            put(tmp_path / "a.wav", NEW)
            await eventually(lambda: told)
            assert [new for _, new in told] == [Reloaded(replaced=["a"])]
            assert heard(library, "a") == items(NEW)
            put(tmp_path / "music/b.wav", OLD)  # in a folder that is new as well
            await eventually(lambda: len(told) == 2)
            assert told[1][1] == Reloaded(added=["music/b"])
            assert threads()
            began = time.monotonic()
        assert time.monotonic() - began < UNIT + late()
        assert threads() == []
        assert decoders() == []
        assert (library.pool.decodes, library.pool.decode_seconds > 0) == (3, True)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("by", ["rename", "remove"])
async def test_notices_follow_the_folder(tmp_path: Path, by: str) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    library = await loaded(folder)
    async with watching(library, watch="auto", poll_interval=0.05, settle=0.05) as told:
        await eventually(threads)
        if by == "rename":
            put(tmp_path / "new/a.wav", NEW)
            folder.rename(tmp_path / "old")
            (tmp_path / "new").rename(folder)
        else:
            (folder / "a.wav").unlink()
            folder.rmdir()
            await eventually(lambda: library.problems)
            put(folder / "a.wav", NEW)
        await eventually(lambda: any(new.replaced == ["a"] for _, new in told))
        assert heard(library, "a") == items(NEW)
        await eventually(threads)


async def test_polls_need_no_notices(tmp_path: Path) -> None:
    library = await loaded(tmp_path)
    async with watching(library, watch="poll", poll_interval=0.05, settle=0.05) as told:
        put(tmp_path / "a.wav", OLD)
        await eventually(lambda: told)
        assert threads() == []
    assert told[0][1] == Reloaded(added=["a"])


async def test_where_notices_fail_it_is_said_once_and_polls_go_on(tmp_path: Path) -> None:
    """As where the system's limit of watches is reached: here there is no folder by that name any more."""
    notices = Notices(tmp_path / "gone", "events")
    with capture_logs() as logged:
        for _ in range(3):
            await notices.follow((1, 1))
            await eventually(lambda: not notices.live)
    await notices.close()
    assert [line["event"] for line in logged] == [
        "no notices of changed prompts: they are looked for every now and then"
    ]


def test_file_systems_are_known_by_their_kind() -> None:
    assert kind_of(Path("/proc").stat().st_dev) == "proc"
    assert kind_of(os.makedev(4095, 1)) == ""
    assert has_notices((Path("/proc").stat().st_dev, 1))
