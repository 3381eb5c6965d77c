"""Functions that a child process calls before its work. The module imports little, so that children start fast."""

import os
from collections.abc import Mapping
from typing import IO

READY = b"\n"  # the first byte that a child process sends: it is ready for work

# Environment variables that foreign programs may see: paths, the language and the time zone. Other variables may
# hold tokens, which a decoder or a TTS program must not get, because strangers may have made the files that it
# reads.
_PASSED_ON = {"PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "LD_LIBRARY_PATH"}


def open_channel() -> tuple[IO[bytes], IO[bytes]]:
    """Open the socket at standard input as two files: one to read requests from, and one to write answers to.

    Standard input is then replaced by /dev/null, so that programs which the child starts cannot read requests.
    Standard output is replaced by standard error, so that a stray `print` is not taken for an answer.
    """
    channel = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return os.fdopen(channel, "rb"), os.fdopen(os.dup(channel), "wb")


def report_ready(answers: IO[bytes]) -> None:
    """Report to the server that the child is ready. A pool pauses if its children keep dying earlier."""
    answers.write(READY)
    answers.flush()


def scrub_environment() -> None:
    """Remove from the child's environment all variables that the programs which it starts must not see."""
    kept = program_environment({})
    for name in os.environ.keys() - kept.keys():
        del os.environ[name]


def program_environment(configured: Mapping[str, str]) -> dict[str, str]:
    """The environment for a foreign program: our process's harmless variables, overridden by configured ones."""
    passed_on = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}
    return passed_on | dict(configured)
