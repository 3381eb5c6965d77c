"""Watching a prompt folder: changes settle first, and are found by polling and by change events."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from mediaserver.audio.pcm import to_bytes
from mediaserver.config.settings import PromptSettings
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.file_system_events import ChangeEvents, file_system_of, reports_all_changes
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.playout.prompts.watch import watch_prompts
from mediaserver.wire.encapsulation import PCM, Encoding
from tests.playout.decoding.decoders import decoders
from tests.playout.prompts.folder import (
    NEW,
    OLD,
    encoded,
    loaded,
    played_by_new_call,
    put,
    watching,
)
from tests.sound import speechlike
from tests.timing import UNIT, eventually, late
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_a_growing_file_is_loaded_once_and_whole_when_it_is_complete(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    library = await loaded(tmp_path)
    content = to_bytes(speechlike(8000))
    async with watching(library, watch="poll", poll_interval=1, settle=1) as reloads:
        await asyncio.sleep(0.5)
        put(tmp_path / "other.wav", NEW)
        with (tmp_path / "a.sln").open("wb") as file:
            for at in range(0, len(content), 1600):  # ten pieces, the last after 7.7 s
                file.write(content[at : at + 1600])
                file.flush()
                await asyncio.sleep(0.8)
        await asyncio.sleep(10)
        assert reloads == [(2.0, ReloadResult(added=["other"])), (9.0, ReloadResult(added=["a"]))]
    assert played_by_new_call(library, "a").frames == tuple(PCM.packetize(content))


@pytest.mark.parametrize(
    ("poll_interval", "settle", "loaded_at"), [(1.0, 1.0, 2.0), (5.0, 1.0, 10.0), (1.0, 2.5, 4.0)]
)
@in_virtual_time
async def test_a_change_is_loaded_at_the_first_scan_after_it_has_settled(
    tmp_path: Path, poll_interval: float, settle: float, loaded_at: float, loop: VirtualLoop
) -> None:
    library = await loaded(tmp_path)
    async with watching(library, watch="poll", poll_interval=poll_interval, settle=settle) as reloads:
        await asyncio.sleep(0.5)
        put(tmp_path / "a.wav", OLD)
        await asyncio.sleep(20)
        assert reloads == [(loaded_at, ReloadResult(added=["a"]))]


@in_virtual_time
async def test_a_file_deleted_and_written_again_does_not_count_as_removed(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    async with watching(library, watch="poll", poll_interval=1, settle=1) as reloads:
        await asyncio.sleep(0.5)
        path.unlink()
        await asyncio.sleep(1)
        put(path, NEW)
        await asyncio.sleep(10)
        assert reloads == [(3.0, ReloadResult(replaced=["a"]))]


@in_virtual_time
async def test_watching_goes_on_after_any_error(tmp_path: Path, loop: VirtualLoop) -> None:
    library = await loaded(tmp_path)
    encodings: list[Encoding] = []
    reloads: list[ReloadResult] = []
    how = PromptSettings(watch="poll", poll_interval=1, settle=1)
    task = asyncio.create_task(watch_prompts(library, lambda: [encodings[0]], how, reloads.append))
    put(tmp_path / "a.wav", OLD)
    with capture_logs() as logged:
        await asyncio.sleep(10)
    assert [(line["event"], line["why"]) for line in logged] == [("prompt scan failed", "list index out of range")]
    encodings.append(PCM)
    await asyncio.sleep(3)
    task.cancel()
    assert reloads == [ReloadResult(added=["a"])]


@in_virtual_time
async def test_watching_can_be_switched_off(tmp_path: Path, loop: VirtualLoop) -> None:
    library = await loaded(tmp_path)
    await watch_prompts(library, lambda: (PCM,), PromptSettings(watch="off"), lambda new: None)


# -- with change events of the system, in real time --------------------------------------------------------------

LOOPS = pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
QUICK = {"watch": "events", "poll_interval": 1000, "settle": 0.05}


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "prompt-events" in thread.name]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert threads() == []
    assert decoders() == []


@LOOPS
def test_change_events_wake_the_watcher_and_its_thread_ends(
    tmp_path: Path, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    put(tmp_path / "a.wav", OLD)

    async def run() -> None:
        library = PromptLibrary(tmp_path, 1_000_000, DecodePool())
        await library.load()
        async with watching(library, **QUICK) as reloads:
            await eventually(threads)
            await asyncio.sleep(0.1 * UNIT)  # for the thread to begin
            put(tmp_path / "a.wav", NEW)
            await eventually(lambda: reloads)
            assert [new for _, new in reloads] == [ReloadResult(replaced=["a"])]
            assert played_by_new_call(library, "a") == encoded(NEW)
            put(tmp_path / "music/b.wav", OLD)  # in a folder that is new as well
            await eventually(lambda: len(reloads) == 2)
            assert reloads[1][1] == ReloadResult(added=["music/b"])
            assert threads()
            began = time.monotonic()
        assert time.monotonic() - began < UNIT + late()
        assert threads() == []
        assert decoders() == []
        assert (library.pool.decodes, library.pool.decode_seconds > 0) == (3, True)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("by", ["rename", "remove"])
async def test_change_events_follow_the_folder(tmp_path: Path, by: str) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    library = await loaded(folder)
    async with watching(library, watch="auto", poll_interval=0.05, settle=0.05) as reloads:
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
        await eventually(lambda: any(new.replaced == ["a"] for _, new in reloads))
        assert played_by_new_call(library, "a") == encoded(NEW)
        await eventually(threads)


async def test_polling_needs_no_change_events(tmp_path: Path) -> None:
    library = await loaded(tmp_path)
    async with watching(library, watch="poll", poll_interval=0.05, settle=0.05) as reloads:
        put(tmp_path / "a.wav", OLD)
        await eventually(lambda: reloads)
        assert threads() == []
    assert reloads[0][1] == ReloadResult(added=["a"])


async def test_where_change_events_fail_it_is_logged_once_and_polling_goes_on(tmp_path: Path) -> None:
    """As where the system's limit of watches is reached: here there is no folder by that name any more."""
    events = ChangeEvents(tmp_path / "gone", "events")
    with capture_logs() as logged:
        for _ in range(3):
            await events.listen_to((1, 1))
            await eventually(lambda: not events.listening)
    await events.close()
    assert [line["event"] for line in logged] == ["prompt folder polled instead of watched"]


async def test_a_shutdown_together_with_a_change_ends_the_wait_for_changes(tmp_path: Path) -> None:
    events = ChangeEvents(tmp_path, "poll")
    waiting = asyncio.create_task(events.wait_for_change(60))
    for _ in range(5):
        await asyncio.sleep(0)  # until it waits
    events.changed.set()
    waiting.cancel()
    await asyncio.wait((waiting,))
    assert waiting.cancelled()


def test_file_systems_are_known_by_their_type() -> None:
    assert file_system_of(Path("/proc").stat().st_dev) == "proc"
    assert file_system_of(os.makedev(4095, 1)) == ""
    assert reports_all_changes((Path("/proc").stat().st_dev, 1))
