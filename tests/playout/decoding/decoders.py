"""The decoder processes of this test run, and what they decode."""

import contextlib
import os
from pathlib import Path

from mediaserver.playout.decoding.pool import DecodePool
from tests.sound import Pcm


def decoders() -> list[int]:
    """The processes that we have started and that still run."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(child) for listed in children for child in listed.read_text().split() if alive(child)]


def alive(process: str) -> bool:
    with contextlib.suppress(OSError):
        return "mediaserver.playout.decoding.decoder_process" in Path(f"/proc/{process}/cmdline").read_text()
    return False


def open_to_write(pipe: Path, ends: list[int]) -> bool:
    """Open the writing end of a pipe, once a process has opened the reading end."""
    with contextlib.suppress(OSError):
        ends.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    return bool(ends)


async def pcm_of(pool: DecodePool, path: Path, *, store: bool = True) -> bytes:
    _, sink = await pool.decode(path, Pcm, store=store)
    return b"".join(sink.blocks)
