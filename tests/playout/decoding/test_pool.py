"""Decoding in real worker processes: what happens when they die, hang, idle or cannot start."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from mediaserver.audio.pcm import to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding import pool as decode_pool
from mediaserver.playout.decoding.decoder_process import REQUEST
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.decoding.pool import DecodePool
from tests.playout.decoding.decoders import decoders, open_to_write, pcm_of
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE, eventually


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
        await pool.release_decoders()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(outlive())


async def test_a_file_that_kills_its_decoder_is_reported_and_others_are_decoded(
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
    with pytest.raises(PromptError, match="its decoder was killed, most likely because the memory was used up"):
        await killing
    assert await pcm_of(pool, tmp_path / "a.wav") == to_bytes(speechlike(1600))


async def test_decoders_do_not_outlive_the_pool(tmp_path: Path, pool: DecodePool) -> None:
    write_wav(tmp_path / "a.wav", speechlike(1600))
    await asyncio.gather(*(pcm_of(pool, tmp_path / "a.wav") for _ in range(3)))
    assert decoders()
    await pool.release_decoders()
    assert not decoders()


async def test_idle_decoders_end(tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_pool, "_IDLE", 0.05)
    path = write_wav(tmp_path / "a.wav", speechlike(1600))
    for _ in range(2):
        await pcm_of(pool, path)
        assert decoders()
        await eventually(lambda: not decoders())


def runs(process: int) -> bool:
    with contextlib.suppress(OSError):
        # empty for a process that has ended and was not waited for
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    return False


async def test_an_ffmpeg_that_hangs_ends_with_its_decoder(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "process"
    for name in ("ffmpeg", "ffprobe"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho $$ > {pid_file}\nexec sleep 60\n")
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "a.mp3").write_bytes(b"no matter what")
    decoding = asyncio.create_task(pcm_of(pool, tmp_path / "a.mp3"))
    await eventually(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
    hanging = int(pid_file.read_text())
    await eventually(lambda: runs(hanging))  # for a moment, while it becomes another program, it has no name
    decoding.cancel()
    await asyncio.wait([decoding])
    await eventually(lambda: not runs(hanging))


async def test_a_decoder_whose_server_is_gone_ends_silently(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    os.mkfifo(path)
    ours, theirs = socket.socketpair()
    module = "mediaserver.playout.decoding.decoder_process"
    command = (sys.executable, "-m", module, "recipe", "60", "auto", Conditioning().dump())
    with theirs:
        decoder = subprocess.Popen(command, stdin=theirs.fileno(), stderr=subprocess.PIPE)
    with ours:
        ours.sendall(REQUEST.pack(len(os.fsencode(path)), False, 0) + os.fsencode(path))
        ends: list[int] = []
        await eventually(lambda: ends or open_to_write(path, ends))
    os.close(ends[0])
    _, complaints = await asyncio.to_thread(decoder.communicate, timeout=PATIENCE)
    assert complaints == b""


async def test_decoders_import_no_module_from_the_working_directory(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not what was meant')")
    monkeypatch.chdir(tmp_path)
    path = write_wav(tmp_path / "a.wav", speechlike(1600))
    assert await pcm_of(pool, path) == to_bytes(speechlike(1600))


async def test_the_error_says_why_no_decoder_starts(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    for _ in range(2):
        with pytest.raises(PromptError, match="no process can be started: No such file or directory"):
            await pcm_of(pool, tmp_path / "a.wav")


async def test_the_error_says_why_no_second_decoder_starts(
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
