"""A decoder process: `python -m mediaserver.playout.decoder`, started by `workers`.

It reads requests from its standard input and writes answers to its standard output, each a pickle behind eight
bytes of length: a path, and what `decode_file` made of it. It ends when its input does, so it never outlives
the server, however that ends.
"""

import os
import pickle
import signal
import struct
import sys
from pathlib import Path
from typing import IO

from mediaserver.errors import PromptError
from mediaserver.playout.decode import Decoded, decode_file

LENGTH = struct.Struct(">Q")
_NICENESS = 10  # below the ticker's process, which must run on time


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the serving process's to answer
    os.nice(_NICENESS)
    with _taken(0, "rb") as requests, _taken(1, "wb") as answers:
        while head := requests.read(LENGTH.size):
            path: Path = pickle.loads(requests.read(LENGTH.unpack(head)[0]))  # noqa: S301 - our own parent's
            answer = pickle.dumps(_answer(path), protocol=pickle.HIGHEST_PROTOCOL)
            answers.write(LENGTH.pack(len(answer)))
            answers.write(answer)
            answers.flush()


def _answer(path: Path) -> Decoded | PromptError:
    try:
        return decode_file(path)
    except PromptError as error:
        return error
    except Exception as error:
        return PromptError(f"cannot be decoded: {type(error).__name__}: {error}")


def _taken(descriptor: int, mode: str) -> IO[bytes]:
    """A standard stream for us alone: ffmpeg would read the one, and a stray print corrupt the other."""
    stream = os.fdopen(os.dup(descriptor), mode)
    if descriptor == 0:
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
            os.dup2(nothing.fileno(), 0)
    else:
        os.dup2(sys.stderr.fileno(), descriptor)
    return stream


if __name__ == "__main__":
    main()
