"""The frames of prompts that change while calls go on: each call keeps what it plays."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.playout.prompts.scan import FolderScan
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.playout.sources.playlist import MusicWithAnnouncements, Playlist, Repeated
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.encapsulation import MESSAGE, PCM, PCMU, TCP, ULAW, Encoding
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


def evict(library: PromptLibrary) -> None:
    """Have the cache, which is to be smaller than any prompt, keep nothing of the prompts."""
    library.store.cache.put("large", encoded(NEW))


@pytest.mark.parametrize("change", [replace, Path.unlink, spoil])
@pytest.mark.parametrize("other", [PCM, MESSAGE, ULAW])
@pytest.mark.parametrize("first", [PCM, TCP, ULAW, PCMU])
@pytest.mark.parametrize("gain", [0.0, -6.0])
@in_virtual_time
async def test_what_plays_goes_on_in_any_encoding_though_it_was_evicted_before_it_changed(
    tmp_path: Path,
    gain: float,
    first: Encoding,
    other: Encoding,
    change: Callable[[Path], None],
    loop: VirtualLoop,
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, limit=1, encodings=(first,))
    prompt = library.snapshot.view(gain=gain).get("a")
    found = prompt.get_frames(first)
    if isinstance(found, asyncio.Future):
        await found
    else:
        await asyncio.sleep(1)
    expected = list(islice(Playlist([prompt]).iter_frames(first), 10))
    playlist = Playlist([prompt])
    playing = playlist.iter_frames(first)
    sent = list(islice(playing, 3))
    del found
    evict(library)
    change(path)
    assert await refreshed(library, (first,)) is not None
    decodes = library.pool.decodes
    continued = playlist.iter_frames(other, 3)
    del playing
    gc.collect()
    sent += islice(continued, 2)
    again = playlist.iter_frames(first, 5)
    del continued
    gc.collect()
    sent += islice(again, 100)
    transcoded = [other.encode(first.decode(frame)) for frame in expected]
    assert sent == expected[:3] + transcoded[3:5] + expected[5:]
    assert (playlist.underruns, library.pool.decodes) == (0, decodes)


@in_virtual_time
async def test_what_was_played_already_is_not_needed_to_continue(tmp_path: Path, loop: VirtualLoop) -> None:
    first, second = OLD[:1000], NEW[:1500]
    path = put(tmp_path / "a.wav", first)
    put(tmp_path / "b.wav", second)
    library = await loaded(tmp_path)
    playlist = Playlist([library.snapshot.get("a"), library.snapshot.get("b")])
    playing = playlist.iter_frames(PCM)
    sent = list(islice(playing, 8))
    library.store.cache.pop((library.prompts["a"], PCM.name))
    path.unlink()
    await refreshed(library)
    sent += islice(playlist.iter_frames(PCM, 8), 100)
    assert sent == PCM.packetize(to_bytes(first) + to_bytes(second))
    assert playlist.underruns == 0


@pytest.mark.parametrize("change", [replace, Path.unlink])
@in_virtual_time
async def test_a_prompt_that_is_changed_by_a_request_is_decoded_for_calls_that_play_it_later(
    tmp_path: Path, change: Callable[[Path], None], loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, limit=1, encodings=(PCMU,))
    old = library.snapshot.get("a")
    evict(library)
    gc.collect()

    def work(_: FolderScan) -> None:
        change(path)

    await library.change(["a"], work)
    assert list(islice(Playlist([old]).iter_frames(PCM), 100)) == PCM.packetize(to_bytes(OLD))


@in_virtual_time
async def test_a_second_of_silence_is_in_place_of_what_is_lost(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=())
    playlist = Playlist([library.snapshot.get("a"), Clip(to_bytes(NEW))])
    path.unlink()
    await refreshed(library)
    playing = playlist.iter_frames(PCM)
    assert next(playing) == PCM.silence  # while the file is tried again
    await asyncio.sleep(1)
    assert list(islice(playing, 100)) == [PCM.silence] * 50 + PCM.packetize(to_bytes(NEW))


@in_virtual_time
async def test_an_announcement_goes_on_though_it_was_evicted(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, limit=1)
    notice = library.snapshot.get("a")
    music = MusicWithAnnouncements(Playlist([Clip(to_bytes(NEW))]), notice, every=2)
    playing = music.iter_frames(PCM)
    sent = list(islice(playing, 4))
    evict(library)
    path.unlink()
    await refreshed(library)
    continued = music.iter_frames(MESSAGE, 4)
    del playing
    gc.collect()
    sent_after = map(MESSAGE.decode, islice(continued, 8))
    assert [*map(PCM.decode, sent[2:]), *sent_after] == [*map(PCM.decode, encoded(OLD).frames)]
    assert music.underruns == 0


@in_virtual_time
async def test_a_background_goes_on_though_it_was_evicted(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, limit=1)
    prompt = LevelledPrompt(library.prompts["a"], -26.0)
    frames = await prompt.make_frames(PCM)
    expected = list(map(PCM.decode, frames.frames))
    background = Background(prompt, 0.0)
    playing = background.play(PCM)
    sent = [PCM.decode(frame) for frame in islice(playing, 103)]
    del frames
    evict(library)
    path.unlink()
    await refreshed(library)
    continued = background.play(MESSAGE)
    del playing
    gc.collect()
    sent += [MESSAGE.decode(frame) for frame in islice(continued, 17)]
    assert sent[100:] == (expected * 12)[100:]  # it has faded in by then
