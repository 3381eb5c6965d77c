"""Decoding in real worker processes: what happens when they die, hang, idle or cannot start."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uvloop

from mediaserver.audio.pcm import to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding import pool as decode_pool
from mediaserver.playout.decoding.decoder_process import REQUEST
from mediaserver.playout.decoding.measuring import Measurement
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.decoding.pool import DecodePool
from tests.playout.decoding.decoders import decoders, open_to_write, pcm_of
from tests.sound import Pcm, speechlike, write_wav
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


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (signal.SIGKILL, "its decoder was killed, most likely because the memory was used up"),
        (signal.SIGTERM, "the decoder crashed on it"),
    ],
)
async def test_a_file_that_kills_its_decoder_is_reported_and_others_are_decoded(
    tmp_path: Path, pool: DecodePool, by: signal.Signals, why: str
) -> None:
    """The file is a pipe: its decoder is known to be at it, and to wait, for as long as we hold the other end."""
    write_wav(tmp_path / "a.wav", speechlike(1600))
    os.mkfifo(tmp_path / "killer.wav")
    killing = asyncio.create_task(pcm_of(pool, tmp_path / "killer.wav"))
    for _ in range(2):  # it is given a second chance
        ends: list[int] = []
        await eventually(lambda: ends or open_to_write(tmp_path / "killer.wav", ends))  # noqa: B023
        (decoder,) = decoders()
        os.kill(decoder, by)
        await eventually(lambda: not Path(f"/proc/{decoder}").exists())  # noqa: B023
        os.close(ends[0])
    with pytest.raises(PromptError, match=f"^cannot be decoded: {why}"):
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


async def test_a_file_that_is_decoded_for_ever_is_given_up_and_others_are_decoded(
    tmp_path: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(1600))
    assert await pcm_of(pool, path) == to_bytes(speechlike(1600))
    monkeypatch.setattr(decode_pool, "_TIMEOUT", 0.3)
    os.mkfifo(tmp_path / "endless.wav")
    with pytest.raises(PromptError, match=r"^takes longer than 0\.3 s to decode$"):
        await pcm_of(pool, tmp_path / "endless.wav")
    await eventually(lambda: not decoders())  # what waits for the file would wait for ever
    monkeypatch.undo()
    assert await pcm_of(pool, path) == to_bytes(speechlike(1600))


async def test_a_prompt_is_measured_and_a_sound_has_the_limit_of_its_request(
    tmp_path: Path, pool: DecodePool
) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(16_000))
    measured = await pool.measure(path)
    assert set(measured) == set(Measurement._fields)
    assert len(measured["waveform"]) == 240
    with pytest.raises(PromptError, match=r"^is longer than 1 s: "):
        await pool.decode(path, Pcm, store=False, longest=1)
    info, sink = await pool.decode(path, Pcm, store=False, longest=2)
    assert (info.source, info.warnings) == ("WAV 8000 Hz 16-bit mono", ())
    assert b"".join(sink.blocks) == to_bytes(speechlike(16_000))
    (tmp_path / "b.wav").touch()
    with pytest.raises(PromptError, match=r"^is empty$"):
        await pool.measure(tmp_path / "b.wav")
    assert pool.decodes == 4
    assert pool.decode_seconds > 0
    assert pool.stored == {"hit": 0, "miss": 0, "failed": 0}  # there is no cache


async def test_the_limits_of_the_settings_reach_the_decoders(tmp_path: Path) -> None:
    pool = DecodePool(longest=1.5, pcm="mulaw", conditioning=Conditioning(trim_silence=True))
    with pytest.raises(PromptError, match=r"^is longer than 1\.5 s: "):
        await pcm_of(pool, write_wav(tmp_path / "a.wav", speechlike(12_001)))
    (tmp_path / "a.pcm").write_bytes(b"\x80" * 800)
    assert len(await pcm_of(pool, tmp_path / "a.pcm", store=False)) == 1600
    quiet = np.concatenate((np.zeros(8000, np.int16), speechlike(1600), np.zeros(2000, np.int16)))
    path = write_wav(tmp_path / "b.wav", quiet)
    assert 3200 <= len(await pcm_of(pool, path)) < 6000
    assert await pcm_of(pool, path, store=False) == to_bytes(quiet)
    await pool.release_decoders()
