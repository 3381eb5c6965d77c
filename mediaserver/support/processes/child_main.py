"""The child's side: what a child process does before its work. Imports little, so that children start fast."""

import os
from collections.abc import Mapping
from typing import IO

READY = b"\n"  # the first byte that a child sends, once it is ready for work

# Variables of our environment that foreign programs may see: where things are, and the language. Others may hold
# tokens, and a decoder or a TTS program reads what strangers have made.
_PASSED_ON = {"PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "LD_LIBRARY_PATH"}


def open_channel() -> tuple[IO[bytes], IO[bytes]]:
    """The socket at our standard input, as two files: one to read requests from, one to write answers to.

    Standard input and output are replaced, or a program that we start would read requests, and a stray `print`
    would be taken for an answer.
    """
    channel = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return os.fdopen(channel, "rb"), os.fdopen(os.dup(channel), "wb")


def report_ready(answers: IO[bytes]) -> None:
    """Report that requests can be answered. The pool pauses when children die again and again before this."""
    answers.write(READY)
    answers.flush()


def scrub_environment() -> None:
    """Remove from our environment the variables that must be hidden from the programs that we start."""
    kept = program_environment({})
    for name in os.environ.keys() - kept.keys():
        del os.environ[name]


def program_environment(configured: Mapping[str, str]) -> dict[str, str]:
    """The environment of a foreign program: variables that are passed on, overridden by the configured ones."""
    passed_on = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}
    return passed_on | dict(configured)
