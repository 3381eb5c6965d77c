"""The terminal's keyboard as the keys of a telephone."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator

KEYS = frozenset("0123456789ABCD*#")


@contextlib.contextmanager
def read_keys(press: Callable[[str], None]) -> Iterator[bool]:
    """Call `press` with each telephone key that is typed. Yields whether standard input is a terminal.

    Other characters are ignored, and typed characters are not shown. Ctrl-C still interrupts the program.
    """
    if not sys.stdin.isatty():
        yield False
        return
    terminal, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(terminal)

    def read() -> None:
        try:
            typed = os.read(terminal, 64)
        except OSError:  # an OSError means that the terminal is gone
            typed = b""
        if not typed:
            loop.remove_reader(terminal)
        for key in typed.decode(errors="replace").upper():
            if key in KEYS:
                press(key)

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield True
    finally:
        loop.remove_reader(terminal)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
