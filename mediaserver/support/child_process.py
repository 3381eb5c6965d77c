"""The other end of `processes`: what our child processes do first."""

import os
from collections.abc import Mapping
from typing import IO

READY = b"\n"  # the first that a child says

# What a program that is not ours may see of our environment: where things are, and how people write. The rest may
# hold tokens, and a decoder or a speech program reads what strangers have made.
_PASSED_ON = {"PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "LD_LIBRARY_PATH"}


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


def forget_environment() -> None:
    """Keep of our environment only what programs may see that we start."""
    small = program_environment({})
    for name in os.environ.keys() - small.keys():
        del os.environ[name]


def program_environment(configured: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that is not ours: a few variables of ours, and over them what is configured."""
    passed_on = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}
    return passed_on | dict(configured)
