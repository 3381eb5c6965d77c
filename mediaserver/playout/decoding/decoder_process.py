"""A child process that decodes sound files for the server. The class `DecodePool` starts it by this command:

    python -m mediaserver.playout.decoding.decoder_process FINGERPRINT LONGEST PCM CONDITIONING [FOLDER BYTES]

The process's standard input is a socket. The process reads requests from this socket, and answers on it with a
description in JSON and PCM (16-bit little-endian, 8 kHz, mono). It ends when the socket is closed, and so never
outlives the server.

A file of more than LONGEST seconds is not decoded, and the process's memory is limited to what LONGEST seconds
need, because a file of a few megabytes may hold days of silence. PCM is the value of the setting `prompts.pcm`.
CONDITIONING is the text of a `Conditioning`, which only prompts get.

Decoded prompts are cached on disk in FOLDER, in at most BYTES bytes, under the decoder's FINGERPRINT. Modules for
decoding are imported only when a file must be decoded, because importing numpy takes longer than serving a hundred
files from the cache.
"""

import json
import os
import resource
import struct
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from io import BufferedReader
from typing import IO, Any, TypeVar

from mediaserver.errors import PromptError, error_text
from mediaserver.playout.decoding.decode_cache import CacheLookup, DecodeCache
from mediaserver.playout.decoding.formats import LONGEST
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.support.processes import child_main
from mediaserver.support.store import Store

# The address space of a decoder process, and of each program that it runs, is limited to the sum of two parts:
# the bytes that libraries take for themselves, and a multiple of the bytes of LONGEST seconds of PCM.
_LIBRARY_BYTES, _PCM_MULTIPLE, _PCM_BYTES_PER_SECOND = 2_000_000_000, 6, 16_000
# Environment variables that are set to 1, so that numpy's libraries do not allocate memory for a thread per core.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")

# A request's header: the length in bytes of the path that follows, the file's `Purpose`, and the most seconds of
# sound that the file may have, 0 if only LONGEST limits them.
REQUEST = struct.Struct(">IBI")
ANSWER = struct.Struct(">IQ")  # an answer's header: the lengths in bytes of the JSON and the PCM that follow
_NO_PCM = memoryview(b"")

T = TypeVar("T")


class Purpose(IntEnum):
    """What a file is decoded for."""

    SOUND = 0  # the file is no prompt, such as a recording: it is played as it is, and not cached
    PROMPT = 1  # the file is a prompt, which is conditioned and cached
    MEASUREMENT = 2  # the file is measured as a prompt, and not played: the answer has no PCM


def main() -> None:
    """Answer the server's requests until the socket at standard input is closed."""
    requests, answers = child_main.open_channel()
    child_main.scrub_environment()  # ffmpeg, which this process starts, must not get the server's secrets
    fingerprint, seconds, pcm, conditioning, *place = sys.argv[1:]
    longest = float(seconds)
    _limit_memory(longest)
    cache = DecodeCache(Store(place[0], int(place[1])), fingerprint) if place else None
    try:
        child_main.report_ready(answers)
        _serve(cache, requests, answers, longest, pcm, Conditioning.load(conditioning))
    except (BrokenPipeError, ConnectionResetError):  # these errors mean that the server is gone
        os._exit(1)  # exit at once: a normal exit would fail to flush the answer, and print an error


def _limit_memory(longest: float) -> None:
    """Limit the memory of this process and of programs that it starts; a lower limit already in force stays."""
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    wanted = int(_LIBRARY_BYTES + _PCM_MULTIPLE * _PCM_BYTES_PER_SECOND * longest)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _serve(
    cache: DecodeCache | None,
    requests: IO[bytes],
    answers: IO[bytes],
    longest: float,
    pcm_kind: str,
    conditioning: Conditioning,
) -> None:
    while head := requests.read(REQUEST.size):
        size, purpose, most = REQUEST.unpack(head)
        path = os.fsdecode(requests.read(size))
        if purpose == Purpose.MEASUREMENT:
            description, pcm = measure(path, longest, pcm_kind, conditioning), _NO_PCM
        elif purpose == Purpose.PROMPT:
            description, pcm = answer_request(path, cache, longest, pcm_kind, conditioning)
        else:
            description, pcm = answer_request(path, None, min(longest, most or longest), pcm_kind)
        text = json.dumps(description).encode()
        answers.write(ANSWER.pack(len(text), len(pcm)) + text)
        answers.write(pcm)
        answers.flush()


def answer_request(
    path: str,
    cache: DecodeCache | None,
    longest: float = LONGEST,
    pcm_kind: str = "auto",
    conditioning: Conditioning | None = None,
) -> tuple[dict[str, Any], memoryview]:
    """Return a file's description and PCM; for a file that cannot be played, `{"error": reason}` and no PCM.

    The description's keys `stored` and `problem` have the values of the `CacheLookup` fields of these names.
    """

    def decode(file: BufferedReader) -> bytes:
        return _decode(path, file, longest, pcm_kind, conditioning)

    def look_up() -> CacheLookup:
        if cache is not None:
            return cache.get_or_decode(path, decode, time.time())
        with open(path, "rb") as file:
            return CacheLookup(decode(file), "")

    found, why = _or_reason(look_up)
    if found is None:
        return {"error": why}, _NO_PCM
    end = found.decoded.index(b"\n")
    description, pcm = found.decoded[:end], memoryview(found.decoded)[end + 1 :]
    if len(pcm) > longest * _PCM_BYTES_PER_SECOND:  # a file that was cached when the limit LONGEST was larger
        from mediaserver.playout.decoding.decode import too_long_error

        return {"error": str(too_long_error(longest))}, _NO_PCM
    return json.loads(description) | {"stored": found.stored, "problem": found.problem}, pcm


def measure(path: str, longest: float, pcm_kind: str, conditioning: Conditioning) -> dict[str, Any]:
    """The fields of a `Measurement` of a prompt's file; `{"error": reason}` if the file cannot be played."""

    def work() -> dict[str, Any]:
        from pathlib import Path

        from mediaserver.playout.decoding import measuring

        with open(path, "rb") as file:
            return measuring.measure(Path(path), file, longest, pcm_kind, conditioning)._asdict()  # type: ignore[arg-type]

    measured, why = _or_reason(work)
    return {"error": why} if measured is None else measured


def _or_reason(work: Callable[[], T]) -> tuple[T | None, str]:
    """The result of decoding a file and "", or None and the reason why the file cannot be played."""
    try:
        return work(), ""
    except PromptError as error:
        return None, str(error)
    except MemoryError:
        return None, "takes too much memory to decode: convert it to WAV, 8000 Hz, 16-bit, mono"
    except OSError as error:
        return None, f"cannot be read: {error_text(error)}"
    except Exception as error:
        return None, f"cannot be decoded: {type(error).__name__}: {error}"


def _decode(
    path: str, file: BufferedReader, longest: float, pcm_kind: str, conditioning: Conditioning | None
) -> bytes:
    """Decode a file to the bytes that the cache keeps: the file's description in a line of JSON, then its PCM."""
    from pathlib import Path

    from mediaserver.playout.decoding.decode import decode

    decoded = decode(Path(path), file, longest, pcm_kind, conditioning)  # type: ignore[arg-type]
    description = {
        "source": decoded.source,
        "peak_dbfs": decoded.peak_dbfs,
        "loudness_lufs": decoded.loudness_lufs,
        "warnings": decoded.warnings,
    }
    return b"".join((json.dumps(description).encode(), b"\n", decoded.pcm))


if __name__ == "__main__":
    main()
