"""The worker process of the TTS engine `command`: `python -m mediaserver.speech.tts.command_process`.

The worker runs the configured program once for each sentence. Processes that the program starts belong to the
worker's process group, and are killed together with the worker.
"""

import resource
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO, Any

from mediaserver.audio.pcm import pad_to_frames
from mediaserver.errors import EngineError, PromptError, error_text
from mediaserver.playout.decoding.decode import decode_file
from mediaserver.speech.engines import worker_process
from mediaserver.support.processes import child_main

_MAX_SOUND_BYTES = 32_000_000  # the size limit in bytes of a program's WAV: some minutes at any sampling rate
# The size limit in bytes of each file that the program writes. Shared memory counts as a file, too: the espeak-ng
# of Linux distributions takes 64 MB of shared memory for PulseAudio, even when it plays nothing.
_MAX_FILE_BYTES = 4 * 64 * 1024 * 1024
_MAX_STDERR_BYTES = 4096  # the number of bytes kept from the end of a program's standard error, for its messages


def main() -> None:
    """Answer the serving process's requests for speech until its socket is closed."""
    _limit_file_size()
    child_main.scrub_environment()
    worker_process.serve_jobs(lambda: synthesise)


def _limit_file_size() -> None:
    """Limit the size of files that this process and its programs write, unless a lower limit is inherited."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = _MAX_FILE_BYTES if hard_limit == resource.RLIM_INFINITY else min(_MAX_FILE_BYTES, hard_limit)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def synthesise(job: dict[str, Any]) -> bytes:
    """Have the program speak a sentence, and return 16-bit PCM at 8 kHz, padded to whole frames of 20 ms."""
    file = Path(job["file"])
    stdout = _run_program(job["arguments"], job["input"].encode(), job["environment"])
    try:
        if not job["by_file"]:
            file.write_bytes(stdout)
        elif file.exists() and file.stat().st_size > _MAX_SOUND_BYTES:
            raise _too_much_sound()
        pcm = decode_file(file).pcm
        if not pcm:
            raise EngineError("what the program wrote has no sound in it")
        return pad_to_frames(pcm)
    except PromptError as error:
        raise EngineError(f"what the program wrote {error}") from error
    finally:
        file.unlink(missing_ok=True)  # the serving process removes the file, too, but may have ended by now


def _run_program(arguments: list[str], text: bytes, configured: dict[str, str]) -> bytes:
    """Run the program with `text` as its standard input; return its standard output.

    `configured` has the program's environment variables from the settings. Raises EngineError if the program
    fails.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator configured it
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_main.program_environment(configured),
        )
    except (OSError, ValueError) as error:
        raise EngineError(f"the program cannot be run: {error_text(error)}") from error
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    stderr_end = bytearray()
    threads = (
        threading.Thread(target=_write_stdin, args=(process.stdin, text), daemon=True),
        threading.Thread(target=_read_stderr, args=(process.stderr, stderr_end), daemon=True),
    )
    for thread in threads:
        thread.start()
    stdout = process.stdout.read(_MAX_SOUND_BYTES + 1)
    if len(stdout) > _MAX_SOUND_BYTES:
        process.kill()
        process.wait()
        raise _too_much_sound()
    code = process.wait()
    for thread in threads:
        thread.join(1.0)  # waits 1 s at most: a process that the program started may keep the pipes open
    if code == -signal.SIGXFSZ:
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        raise EngineError(f"the program wrote a file of more than {limit} bytes")
    if code:
        lines = bytes(stderr_end).decode(errors="replace").strip().splitlines()
        how = f"ended with {code}" if code > 0 else f"was killed by signal {-code}"
        raise EngineError(f"the program {how}{f': {lines[-1].strip()}' if lines else ''}")
    return stdout


def _too_much_sound() -> EngineError:
    return EngineError(f"the program wrote more than {_MAX_SOUND_BYTES} bytes of sound")


def _write_stdin(pipe: IO[bytes], text: bytes) -> None:
    try:
        with pipe:
            pipe.write(text)
    except OSError:  # a program that takes the text as an argument need not read its input
        return


def _read_stderr(pipe: IO[bytes], end: bytearray) -> None:
    """Read standard error to its end, so that the program never waits to write; keep the last bytes in `end`."""
    with pipe:
        while data := pipe.read1(_MAX_STDERR_BYTES):  # type: ignore[attr-defined]
            end += data
            del end[:-_MAX_STDERR_BYTES]


if __name__ == "__main__":
    main()
