"""The frames of prompts that change while calls go on: each call keeps what it plays."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.playout.prompts.library import ReloadResult
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.wire.encapsulation import MESSAGE, PCM, PCMU, Encoding
from tests.playout.prompts.folder import (
    NEW,
    OLD,
    encoded,
    loaded,
    put,
    refreshed,
)
from tests.virtual import VirtualLoop, in_virtual_time


def replace(path: Path) -> None:
    put(path, NEW)


def spoil(path: Path) -> None:
    path.write_bytes(b"no sound at all")


@pytest.mark.parametrize("change", [replace, Path.unlink, spoil])
@pytest.mark.parametrize("encoding", [PCM, PCMU])
@pytest.mark.parametrize("length", [1600, 1000])  # of whole frames, and not
@in_virtual_time
async def test_a_prompt_played_in_a_loop_goes_on_unchanged(
    tmp_path: Path, length: int, encoding: Encoding, change: Callable[[Path], None], loop: VirtualLoop
) -> None:
    sound = OLD[:length]
    path = put(tmp_path / "a.wav", sound)
    library = await loaded(tmp_path, encodings=(encoding,))
    playlist = Playlist(Repeated([library.snapshot.get("a")], None))
    playing = playlist.iter_frames(encoding)
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
    playlist = Playlist([library.snapshot.get("a")])
    playlist.iter_frames(PCM)
    path.unlink()
    await refreshed(library)
    assert list(playlist.iter_frames(MESSAGE, 4)) == MESSAGE.packetize(to_bytes(OLD))[4:]


@in_virtual_time
async def test_frames_being_encoded_when_a_prompt_changes_go_to_its_calls_only(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    put(path, NEW)
    assert await library.refresh() is None
    await asyncio.sleep(1)
    old = library.prompts["a"]
    reloading = asyncio.create_task(library.refresh((PCM,)))
    while old.detached is None:
        await asyncio.sleep(0)
    old.get_frames(MESSAGE)  # begins to encode it
    assert await reloading == ReloadResult(replaced=["a"])
    await asyncio.sleep(1)
    assert old.get_frames(MESSAGE) == encoded(OLD, MESSAGE)
    assert library.store.cache.bytes == encoded(NEW).size


@in_virtual_time
async def test_the_memory_of_an_old_prompt_is_freed_with_its_last_call(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    old = weakref.ref(library.snapshot.get("a"))
    calls = [Playlist(Repeated([library.snapshot.get("a")], None)).iter_frames(PCM) for _ in range(2)]
    assert [next(call) for call in calls] == [encoded(OLD).frames[0]] * 2
    put(path, NEW)
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    calls.pop()
    gc.collect()
    assert old() is not None
    calls.pop()
    gc.collect()
    assert old() is None
    assert library.store.cache.bytes == encoded(NEW).size


@in_virtual_time
async def test_an_evicted_old_prompt_plays_what_its_file_holds_now(tmp_path: Path, loop: VirtualLoop) -> None:
    """The old frames were evicted, and the old file is gone."""
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=())
    old = library.snapshot.get("a")
    put(path, NEW)
    await refreshed(library)
    frames = old.get_frames(PCM)
    assert isinstance(frames, asyncio.Future)
    assert await frames == encoded(NEW)
