"""The speaker and the microphone, used through programs such as aplay, with raw 16-bit PCM at 8 kHz."""

import asyncio
import contextlib
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE

_ALSA = ("-q", "-t", "raw", "-f", "S16_LE", "-r", f"{SAMPLE_RATE}", "-c", "1")
_PULSE = ("--raw", "--format=s16le", f"--rate={SAMPLE_RATE}", "--channels=1", "--latency-msec=60")
_SOX = ("-q", "-t", "raw", "-e", "signed", "-b", "16", "-r", f"{SAMPLE_RATE}", "-c", "1", "-")
# The programs with their arguments, in order of preference. ffplay assumes one channel for raw sound.
SPEAKERS = (
    ("pacat", "--playback", *_PULSE),
    ("aplay", *_ALSA),
    ("play", *_SOX),
    ("ffplay", "-nodisp", "-loglevel", "quiet", "-f", "s16le", "-sample_rate", f"{SAMPLE_RATE}", "-i", "-"),
)
MICROPHONES = (("parec", *_PULSE), ("arecord", *_ALSA), ("rec", *_SOX))
# A player counts as stuck if more bytes of sound than these (1 s) wait for it.
_MAX_WAITING = SAMPLE_RATE * SAMPLE_BYTES
_END_TIMEOUT = 1.0  # the time limit in seconds for a player to play its last sound at the end of a call


def find_program(programs: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The first of these programs that is installed, with its arguments; None if none is."""
    return next((program for program in programs if shutil.which(program[0])), None)


def missing(programs: Sequence[tuple[str, ...]]) -> str:
    """A line that tells the user that none of `programs` is installed."""
    return f"none of {', '.join(program[0] for program in programs)} is installed"


@contextlib.asynccontextmanager
async def open_speaker(program: Sequence[str]) -> AsyncIterator[Callable[[bytes], None]]:
    """Run a player; yields a function that plays PCM. Sound is dropped if the player is stuck or has ended."""
    player = await asyncio.create_subprocess_exec(
        *program, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    stdin = player.stdin
    assert stdin is not None  # noqa: S101 - it is a pipe

    def play(pcm: bytes) -> None:
        if not stdin.is_closing() and stdin.transport.get_write_buffer_size() < _MAX_WAITING:
            stdin.write(pcm)

    try:
        yield play
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT):
                stdin.close()
                await player.wait()
        await _end(player)


@contextlib.asynccontextmanager
async def open_microphone(program: Sequence[str], speak: Callable[[bytes], None]) -> AsyncIterator[None]:
    """Run a recorder, and call `speak` with each frame of PCM that it records."""
    recorder = await asyncio.create_subprocess_exec(
        *program, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True
    )
    stdout = recorder.stdout
    assert stdout is not None  # noqa: S101 - it is a pipe

    async def read() -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                speak(await stdout.readexactly(FRAME_BYTES))

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        reading.cancel()
        await _end(recorder)
        await asyncio.wait([reading])


async def _end(process: Process) -> None:
    """Kill a program that has not ended by itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
