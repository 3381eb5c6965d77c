"""A folder of sound files, decoded by real worker processes."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding import pool as decode_pool
from mediaserver.playout.decoding.decoder_process import REQUEST
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.encoded_frames import Items
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.scan import scan
from mediaserver.playout.sources.source import Playlist
from mediaserver.wire.encapsulation import MESSAGE, PCM, PCMU
from tests.sound import Pcm, speechlike, write_wav
from tests.timing import PATIENCE, eventually

MEGABYTE = 1_000_000


def decoders() -> list[int]:
    """The processes that we have started and that still run."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(child) for listed in children for child in listed.read_text().split() if alive(child)]


def alive(process: str) -> bool:
    with contextlib.suppress(OSError):
        return "mediaserver.playout.decoding.decoder_process" in Path(f"/proc/{process}/cmdline").read_text()
    return False


def open_to_write(pipe: Path, ends: list[int]) -> bool:
    """Open a pipe's end, once somebody reads from the other."""
    with contextlib.suppress(OSError):
        ends.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    return bool(ends)


@pytest.fixture
async def pool() -> AsyncIterator[DecodePool]:
    pool = DecodePool()
    yield pool
    await pool.rest()


async def pcm_of(pool: DecodePool, path: Path, *, store: bool = True) -> bytes:
    _, taken = await pool.decode(path, Pcm, store=store)
    return b"".join(taken.blocks)


async def loaded(directory: Path, pool: DecodePool, limit: int = MEGABYTE, encodings=(PCM,)) -> PromptLibrary:
    library = PromptLibrary(directory, limit, pool)
    await library.load(encodings)
    return library


def playable(directory: Path) -> list[str]:
    """The names that a folder has a file for."""
    return [name for name, sight in scan(directory).sights.items() if sight.path]


def problems(directory: Path) -> dict[str, str]:
    """What cannot be a prompt there, and why."""
    return {file: why for sight in scan(directory).sights.values() for file, why in sight.problems.items()}


def test_names_are_paths_without_extension(tmp_path: Path) -> None:
    for name in ("welcome.wav", "music/hold.mp3", "de/zahlen/1.ulaw", ".hidden.wav", "..data/x.wav", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert playable(tmp_path) == ["de/zahlen/1", "music/hold", "welcome"]
    assert scan(tmp_path).ignored == ["README.md"]
    assert problems(tmp_path) == {}


def test_two_files_of_one_name_are_both_named(tmp_path: Path) -> None:
    for name in ("a.wav", "a.mp3", "b.wav"):
        (tmp_path / name).write_bytes(b"x")
    assert playable(tmp_path) == ["b"]
    assert problems(tmp_path) == {
        "a.mp3": 'has the same name, "a", as a.wav',
        "a.wav": 'has the same name, "a", as a.mp3',
    }


def test_a_name_is_the_same_however_its_accents_are_stored(tmp_path: Path) -> None:
    (tmp_path / "gru\u0308n.wav").write_bytes(b"x")  # as macOS writes it
    assert playable(tmp_path) == ["gr\u00fcn"]


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.wav").write_bytes(b"x")
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "b.wav").symlink_to(tmp_path / "real/a.wav")
    assert playable(tmp_path) == ["b", "real/a"]


async def test_a_link_to_nowhere_is_named(tmp_path: Path, pool: DecodePool) -> None:
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    library = await loaded(tmp_path, pool)
    assert library.problems == {"a.wav": "cannot be read: No such file or directory"}


def test_what_is_no_file_is_no_prompt(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert problems(tmp_path) == {"pipe.wav": "is not a regular file"}


async def test_prompts_are_decoded_and_cached_in_the_encodings_asked_for(tmp_path: Path, pool: DecodePool) -> None:
    samples = speechlike(1000)
    write_wav(tmp_path / "a.wav", samples)
    progress: list[tuple[int, int]] = []
    library = PromptLibrary(tmp_path, MEGABYTE, pool)
    await library.load((PCM, PCMU), lambda done, total: progress.append((done, total)))
    prompt = library.catalogue.get("a")
    assert prompt.samples == 1000
    assert prompt.open(PCM) == Items(tuple(PCM.packetize(to_bytes(samples))), 1000)
    assert prompt.open(PCMU) == Items(tuple(PCMU.packetize(to_bytes(samples))), 1000)
    assert library.stock.cache.misses == 0
    assert progress == [(0, 1), (1, 1)]


async def test_what_is_missing_or_broken_is_named_with_a_hint(tmp_path: Path, pool: DecodePool) -> None:
    write_wav(tmp_path / "welcome.wav", speechlike(100))
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    library = await loaded(tmp_path, pool)
    with pytest.raises(PromptError, match=r'no prompt "welcom" \(did you mean "welcome"\?\)'):
        library.catalogue.get("welcom")
    with pytest.raises(PromptError, match=r'prompt "broken" cannot be played: broken.wav is not a WAV file'):
        library.catalogue.get("broken")
    assert list(library.problems) == ["broken.wav"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../a", "./a", "a.wav", "", "."])
async def test_a_name_never_reaches_outside(tmp_path: Path, pool: DecodePool, name: str) -> None:
    write_wav(tmp_path / "secret.wav", speechlike(100))
    write_wav(tmp_path / "prompts/a.wav", speechlike(100))
    library = await loaded(tmp_path / "prompts", pool)
    with pytest.raises(PromptError, match="no prompt"):
        library.catalogue.get(name)


async def test_globs_match_in_order_and_names_may_repeat(tmp_path: Path, pool: DecodePool) -> None:
    for name in ("music/b", "music/a", "x"):
        write_wav(tmp_path / f"{name}.wav", speechlike(100))
    library = await loaded(tmp_path, pool)
    assert [prompt.name for prompt in library.catalogue.match(["x", "music/*", "x"])] == [
        "x",
        "music/a",
        "music/b",
        "x",
    ]
    with pytest.raises(PromptError, match=r'no prompt matches "jazz/\*"'):
        library.catalogue.match(["jazz/*"])


async def test_another_encoding_plays_at_once_and_is_ready_made_soon(tmp_path: Path, pool: DecodePool) -> None:
    samples = speechlike(1600)
    write_wav(tmp_path / "a.wav", samples)
    library = await loaded(tmp_path, pool)
    prompt = library.catalogue.get("a")
    first = prompt.open(MESSAGE)
    assert isinstance(first, Items)
    assert list(first.items) == MESSAGE.packetize(to_bytes(samples))
    await eventually(lambda: library.stock.cache.get((prompt, "message")))
    assert prompt.open(MESSAGE) is prompt.open(MESSAGE)


async def test_what_is_evicted_is_decoded_again_with_silence_meanwhile(tmp_path: Path, pool: DecodePool) -> None:
    first, second = speechlike(1600, 1), speechlike(1600, 2)
    write_wav(tmp_path / "a.wav", first)
    write_wav(tmp_path / "b.wav", second)
    library = await loaded(tmp_path, pool, limit=4000)  # room for one of them
    assert library.stock.cache.evictions == 1
    evicted = next(
        name for name in ("a", "b") if library.stock.cache.get((library.catalogue.get(name), "pcm")) is None
    )
    playlist = Playlist([library.catalogue.get(evicted)])
    heard: list[bytes] = []
    for item in playlist.items(PCM):
        heard.append(item)
        await asyncio.sleep(0.002)
    waited = playlist.underruns
    assert waited > 0
    assert heard[:waited] == [PCM.encode(SILENCE)] * waited
    assert heard[waited:] == PCM.packetize(to_bytes(first if evicted == "a" else second))


async def test_many_callers_of_one_evicted_prompt_decode_it_once(tmp_path: Path, pool: DecodePool) -> None:
    write_wav(tmp_path / "a.wav", speechlike(1600))
    library = await loaded(tmp_path, pool, encodings=())
    opened = [library.catalogue.get("a").open(PCM) for _ in range(5)]
    assert all(future is opened[0] for future in opened)
    assert isinstance(opened[0], asyncio.Future)
    items = await opened[0]
    assert library.catalogue.get("a").open(PCM) is items


async def test_a_prompt_that_cannot_be_decoded_again_breaks_its_source_only(
    tmp_path: Path, pool: DecodePool
) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(1600))
    library = await loaded(tmp_path, pool, encodings=())
    path.unlink()
    future = library.catalogue.get("a").open(PCM)
    assert isinstance(future, asyncio.Future)
    with pytest.raises(PromptError, match="cannot be read"):
        await future


@pytest.mark.parametrize("noticed", [False, True])
@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_decoders_found_dead_are_replaced(tmp_path: Path, make_loop, noticed: bool) -> None:
    write_wav(tmp_path / "a.wav", speechlike(1600))

    async def outlive() -> None:
        pool = DecodePool()
        await asyncio.gather(*(pcm_of(pool, tmp_path / "a.wav") for _ in range(2)))
        dead = decoders()
        for process in dead:  # as the kernel does when memory runs out
            os.kill(process, signal.SIGKILL)
        if noticed:
            await eventually(lambda: not decoders())
        decoded = await asyncio.gather(*(pcm_of(pool, tmp_path / "a.wav") for _ in range(6)))
        assert set(decoded) == {to_bytes(speechlike(1600))}
        await pool.rest()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(outlive())


async def test_a_file_that_kills_its_decoder_is_named_and_its_neighbours_are_not(
    tmp_path: Path, pool: DecodePool
) -> None:
    """The file is a pipe: its decoder is known to be at it, and to wait, for as long as we hold the other end."""
    write_wav(tmp_path / "a.wav", speechlike(1600))
    os.mkfifo(tmp_path / "killer.wav")
    killing = asyncio.create_task(pcm_of(pool, tmp_path / "killer.wav"))
    for _ in range(2):  # it is given a second chance
        ends: list[int] = []
        await eventually(lambda: ends or open_to_write(tmp_path / "killer.wav", ends))  # noqa: B023
        (decoder,) = decoders()
        os.kill(decoder, signal.SIGKILL)
        await eventually(lambda: not Path(f"/proc/{decoder}").exists())  # noqa: B023
        os.close(ends[0])
    with pytest.raises(PromptError, match="the decoder died of it"):
        await killing
    assert await pcm_of(pool, tmp_path / "a.wav") == to_bytes(speechlike(1600))


async def test_decoders_do_not_outlive_the_pool(tmp_path: Path, pool: DecodePool) -> None:
    write_wav(tmp_path / "a.wav", speechlike(1600))
    await asyncio.gather(*(pcm_of(pool, tmp_path / "a.wav") for _ in range(3)))
    assert decoders()
    await pool.rest()
    assert not decoders()


async def test_decoders_go_when_nobody_needs_them(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_pool, "_IDLE", 0.05)
    path = write_wav(tmp_path / "a.wav", speechlike(1600))
    for _ in range(2):
        await pcm_of(pool, path)
        assert decoders()
        await eventually(lambda: not decoders())


def runs(process: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(
            Path(f"/proc/{process}/cmdline").read_bytes()
        )  # nothing where it ended, and nobody waited for it
    return False


async def test_an_ffmpeg_that_hangs_ends_with_its_decoder(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "process"
    for name in ("ffmpeg", "ffprobe"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 60\n")
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "a.mp3").write_bytes(b"no matter what")
    decoding = asyncio.create_task(pcm_of(pool, tmp_path / "a.mp3"))
    await eventually(lambda: told.exists() and told.read_text().endswith("\n"))
    hanging = int(told.read_text())
    await eventually(lambda: runs(hanging))  # for a moment, while it becomes another program, it has no name
    decoding.cancel()
    await asyncio.wait([decoding])
    await eventually(lambda: not runs(hanging))


async def test_a_decoder_whose_server_is_gone_ends_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    os.mkfifo(path)
    ours, theirs = socket.socketpair()
    command = (sys.executable, "-m", "mediaserver.playout.decoding.decoder_process", "recipe", "60")
    with theirs:
        decoder = subprocess.Popen(command, stdin=theirs.fileno(), stderr=subprocess.PIPE)
    with ours:
        ours.sendall(REQUEST.pack(len(os.fsencode(path)), False) + os.fsencode(path))
        ends: list[int] = []
        await eventually(lambda: ends or open_to_write(path, ends))
    os.close(ends[0])
    _, complaints = await asyncio.to_thread(decoder.communicate, timeout=PATIENCE)
    assert complaints == b""


async def test_what_lies_in_the_working_directory_is_no_module_of_the_decoders(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not what was meant')")
    monkeypatch.chdir(tmp_path)
    path = write_wav(tmp_path / "a.wav", speechlike(1600))
    assert await pcm_of(pool, path) == to_bytes(speechlike(1600))


async def test_why_no_decoder_starts_is_told(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    for _ in range(2):
        with pytest.raises(PromptError, match="no process can be started: No such file or directory"):
            await pcm_of(pool, tmp_path / "a.wav")


async def test_why_no_second_decoder_starts_is_told(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "killer.wav")
    killing = asyncio.create_task(pcm_of(pool, tmp_path / "killer.wav"))
    ends: list[int] = []
    await eventually(lambda: ends or open_to_write(tmp_path / "killer.wav", ends))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    for decoder in decoders():
        os.kill(decoder, signal.SIGKILL)
    with pytest.raises(PromptError, match="no process can be started: No such file or directory"):
        await killing
    os.close(ends[0])


async def test_a_name_of_any_bytes_reaches_the_decoder(tmp_path: Path, pool: DecodePool) -> None:
    path = tmp_path / os.fsdecode(b"no utf-8 \xff\n.wav")
    write_wav(path, speechlike(1600))
    assert await pcm_of(pool, path) == to_bytes(speechlike(1600))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_an_unreadable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    assert problems(tmp_path) == {"locked": "cannot be read: Permission denied"}


async def test_a_sound_file_that_cannot_be_read_is_named(tmp_path: Path, pool: DecodePool) -> None:
    with pytest.raises(PromptError, match=r"nosuch\.wav cannot be read: No such file or directory"):
        await PromptLibrary(tmp_path, 1_000_000, pool).decode(tmp_path / "nosuch.wav")
