"""The other end of `processes`: what our child processes do first."""

import os
from typing import IO

READY = b"\n"  # the first that a child says


def begin() -> tuple[IO[bytes], IO[bytes]]:
    """Where requests are read, and where they are answered: the socket that is our standard input, for us alone.

    A program that we start would read from it, and a stray print would be taken for an answer.
    """
    line = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return os.fdopen(line, "rb"), os.fdopen(os.dup(line), "wb")


def ready(answers: IO[bytes]) -> None:
    """Say that requests can be answered now; who dies before that is not tried again and again."""
    answers.write(READY)
    answers.flush()
