"""A process that runs a program for each sentence: `python -m mediaserver.speech.tts.command_process`, started
by `command`. What the program starts is in this process's group, and is killed with it.
"""

import resource
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO, Any

from mediaserver.audio.pcm import whole_frames
from mediaserver.errors import EngineError, PromptError, plainly
from mediaserver.playout.decoding.decode import decode_file
from mediaserver.speech.engines import worker_process
from mediaserver.support import child_process

_MOST = 32_000_000  # bytes of sound that a program may write: some minutes at any rate
# Bytes of any one file that it makes. To the kernel shared memory is a file as well, and espeak-ng has 64 MB of it
# for PulseAudio, as distributions build it, though it plays nothing.
_LARGEST_FILE = 4 * 64 * 1024 * 1024
_SAID = 4096  # bytes of what it complains of


def main() -> None:
    """Answer until the input ends."""
    _limit_files()
    child_process.forget_environment()
    worker_process.serve(lambda: speak)


def _limit_files() -> None:
    """Ours, and the program's; whoever started us may have set less."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = _LARGEST_FILE if most == resource.RLIM_INFINITY else min(_LARGEST_FILE, most)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def speak(request: dict[str, Any]) -> bytes:
    """The sound that a program makes of a sentence: PCM at 8 kHz."""
    file = Path(request["file"])
    sound = _run(request["arguments"], request["input"].encode(), request["environment"])
    try:
        if not request["by_file"]:
            file.write_bytes(sound)
        elif file.exists() and file.stat().st_size > _MOST:
            raise _too_much()
        return whole_frames(decode_file(file).pcm)
    except PromptError as error:
        raise EngineError(f"what the program wrote {error}") from error
    finally:
        file.unlink(missing_ok=True)  # whoever asked may be gone


def _run(arguments: list[str], text: bytes, configured: dict[str, str]) -> bytes:
    """What it writes to its standard output; EngineError where it fails."""
    try:
        process = subprocess.Popen(  # noqa: S603 - it is the operator's
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_process.program_environment(configured),
        )
    except (OSError, ValueError) as error:
        raise EngineError(f"the program cannot be run: {plainly(error)}") from error
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    complaints = bytearray()
    others = (
        threading.Thread(target=_write, args=(process.stdin, text), daemon=True),
        threading.Thread(target=_keep_end, args=(process.stderr, complaints), daemon=True),
    )
    for thread in others:
        thread.start()
    sound = process.stdout.read(_MOST + 1)
    if len(sound) > _MOST:
        process.kill()
        process.wait()
        raise _too_much()
    code = process.wait()
    for thread in others:
        thread.join(1.0)  # what it started may hold on to them
    if code == -signal.SIGXFSZ:
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        raise EngineError(f"the program wrote a file of more than {limit} bytes")
    if code:
        said = bytes(complaints).decode(errors="replace").strip().splitlines()
        how = f"ended with {code}" if code > 0 else f"was killed by signal {-code}"
        raise EngineError(f"the program {how}{f': {said[-1].strip()}' if said else ''}")
    return sound


def _too_much() -> EngineError:
    return EngineError(f"the program wrote more than {_MOST} bytes of sound")


def _write(line: IO[bytes], text: bytes) -> None:
    try:
        with line:
            line.write(text)
    except OSError:  # it does not read: that is its own business
        return


def _keep_end(line: IO[bytes], kept: bytearray) -> None:
    """Read to the end; the last of it is kept."""
    with line:
        while data := line.read1(_SAID):  # type: ignore[attr-defined]
            kept += data
            del kept[:-_SAID]


if __name__ == "__main__":
    main()
