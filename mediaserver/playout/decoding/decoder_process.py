"""A decoder process, which `pool` starts.

    python -m mediaserver.playout.decoding.decoder_process RECIPE LONGEST [FOLDER BYTES]

It reads requests from its standard input, a socket, and answers there: what the sound is, in JSON, and its PCM. It
ends when its input does, so it never outlives the server, however that ends.

It decodes what is no longer than LONGEST seconds, and no file has it take more memory than what is kept of that: a
few megabytes may be days of silence.

What it makes it keeps in the store at FOLDER, of so many BYTES, by the RECIPE. What is found there is not decoded,
so nothing is imported before it is needed: numpy takes longer than a hundred files that were decoded before.
"""

import json
import os
import resource
import struct
import sys
import time
from io import BufferedReader
from typing import IO, Any

from mediaserver.errors import PromptError, plainly
from mediaserver.playout.decoding.archive import Archive, Found
from mediaserver.playout.decoding.formats import LONGEST
from mediaserver.support import child_process
from mediaserver.support.store import Store

# Bytes of addresses that a decoder may have, and each program that it runs: what libraries take for themselves,
# and some times what is kept of a sound, 16 bits at 8 kHz.
_LIBRARIES, _TIMES, _KEPT = 2_000_000_000, 6, 16_000
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # numpy's takes memory for one a core

REQUEST = struct.Struct(">I?")  # bytes of the path, which follows; whether to look in the store
ANSWER = struct.Struct(">IQ")  # bytes of JSON, then of PCM
_NOTHING = memoryview(b"")


def main() -> None:
    """Answer until the input ends."""
    requests, answers = child_process.begin()
    child_process.forget_environment()  # of ffmpeg too
    recipe, seconds, *place = sys.argv[1:]
    longest = float(seconds)
    _limit_memory(longest)
    archive = Archive(Store(place[0], int(place[1])), recipe) if place else None
    try:
        child_process.ready(answers)
        _serve(archive, requests, answers, longest)
    except (BrokenPipeError, ConnectionResetError):  # the server is gone
        os._exit(1)  # without a word on what is left to be written


def _limit_memory(longest: float) -> None:
    """Ours, and that of what we start; whoever started us may have set less."""
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    wanted = int(_LIBRARIES + _TIMES * _KEPT * longest)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _serve(archive: Archive | None, requests: IO[bytes], answers: IO[bytes], longest: float) -> None:
    while head := requests.read(REQUEST.size):
        size, stored = REQUEST.unpack(head)
        about, pcm = answer(os.fsdecode(requests.read(size)), archive if stored else None, longest)
        text = json.dumps(about).encode()
        answers.write(ANSWER.pack(len(text), len(pcm)) + text)
        answers.write(pcm)
        answers.flush()


def answer(path: str, archive: Archive | None, longest: float = LONGEST) -> tuple[dict[str, Any], memoryview]:
    """The sound of a file, or an `error`; `stored` and `trouble` tell what became of it in the archive."""
    try:
        if archive is not None:
            found = archive.find(path, lambda file: _made(path, file, longest), time.time())
        else:
            with open(path, "rb") as file:
                found = Found(_made(path, file, longest), "")
    except PromptError as error:
        return {"error": str(error)}, _NOTHING
    except MemoryError:
        return {"error": "takes too much memory to decode: convert it to WAV, 8000 Hz, 16-bit, mono"}, _NOTHING
    except OSError as error:
        return {"error": f"cannot be read: {plainly(error)}"}, _NOTHING
    except Exception as error:
        return {"error": f"cannot be decoded: {type(error).__name__}: {error}"}, _NOTHING
    end = found.made.index(b"\n")
    about, pcm = found.made[:end], memoryview(found.made)[end + 1 :]
    if len(pcm) > longest * _KEPT:  # it was decoded when more was allowed
        from mediaserver.playout.decoding.decode import too_long

        return {"error": str(too_long(longest))}, _NOTHING
    return json.loads(about) | {"stored": found.stored, "trouble": found.trouble}, pcm


def _made(path: str, file: BufferedReader, longest: float) -> bytes:
    """What is kept of a sound file: what it is, in a line of JSON, then its PCM."""
    from pathlib import Path

    from mediaserver.playout.decoding.decode import decode

    made = decode(Path(path), file, longest)
    about = {"source": made.source, "peak_dbfs": made.peak_dbfs, "loudness_lufs": made.loudness_lufs}
    return b"".join((json.dumps(about).encode(), b"\n", made.pcm))


if __name__ == "__main__":
    main()
