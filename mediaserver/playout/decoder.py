"""A decoder process: `python -m mediaserver.playout.decoder RECIPE [FOLDER BYTES]`, started by `workers`.

It reads requests from its standard input, a socket, and answers there: what the sound is, in JSON, and its PCM. It
ends when its input does, so it never outlives the server, however that ends.

What it makes it keeps in the store at FOLDER, of so many BYTES, by the RECIPE. What is found there is not decoded,
so nothing is imported before it is needed: numpy takes longer than a hundred files that were decoded before.
"""

import json
import os
import struct
import sys
import time
from typing import IO, Any

from mediaserver import child
from mediaserver.errors import PromptError, plainly
from mediaserver.playout.archive import Archive, Found
from mediaserver.store import Store

REQUEST = struct.Struct(">I?")  # bytes of the path, which follows; whether to look in the store
ANSWER = struct.Struct(">IQ")  # bytes of JSON, then of PCM


def main() -> None:
    """Answer until the input ends."""
    requests, answers = child.begin()
    child.forget_environment()  # of ffmpeg too
    recipe, *place = sys.argv[1:]
    archive = Archive(Store(place[0], int(place[1])), recipe) if place else None
    try:
        child.ready(answers)
        _serve(archive, requests, answers)
    except (BrokenPipeError, ConnectionResetError):  # the server is gone
        os._exit(1)  # without a word on what is left to be written


def _serve(archive: Archive | None, requests: IO[bytes], answers: IO[bytes]) -> None:
    while head := requests.read(REQUEST.size):
        size, stored = REQUEST.unpack(head)
        about, pcm = answer(os.fsdecode(requests.read(size)), archive if stored else None)
        text = json.dumps(about).encode()
        answers.write(ANSWER.pack(len(text), len(pcm)) + text)
        answers.write(pcm)
        answers.flush()


def answer(path: str, archive: Archive | None) -> tuple[dict[str, Any], bytes]:
    """The sound of a file, or an `error`; `stored` and `trouble` tell what became of it in the archive."""
    try:
        if archive is not None:
            found = archive.find(path, lambda content: _made(path, content), time.time())
        else:
            with open(path, "rb") as file:
                found = Found(_made(path, file.read()), "")
    except PromptError as error:
        return {"error": str(error)}, b""
    except OSError as error:
        return {"error": f"cannot be read: {plainly(error)}"}, b""
    except Exception as error:
        return {"error": f"cannot be decoded: {type(error).__name__}: {error}"}, b""
    about, pcm = found.made.split(b"\n", 1)
    return json.loads(about) | {"stored": found.stored, "trouble": found.trouble}, pcm


def _made(path: str, content: bytes) -> bytes:
    """What is kept of a sound file: what it is, in a line of JSON, then its PCM."""
    from pathlib import Path

    from mediaserver.playout.decode import decode

    made = decode(Path(path), content)
    about = {"source": made.source, "peak_dbfs": made.peak_dbfs, "loudness_lufs": made.loudness_lufs}
    return json.dumps(about).encode() + b"\n" + made.pcm


if __name__ == "__main__":
    main()
