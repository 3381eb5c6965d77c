"""What a kind of input is: how one is made of a number, and what must hold once it was taken in."""

import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.lab import Lab


@dataclass(frozen=True)
class Kind:
    """One kind of input. `make` makes one; `check` or `meet` raises whatever is wrong with how it was taken.

    `check` runs in a worker process, beside a folder of its own; `meet` in a laboratory with a real server.
    """

    name: str
    make: Callable[[Random], Any]
    check: Callable[[Any, Path], None] | None = None
    meet: Callable[[Any, Lab], Awaitable[None]] | None = None
    at_once: int = 32  # inputs that meet the server together
    needs_ffmpeg: bool = False

    def input(self, seed: int, number: int) -> Any:
        """The input of that number."""
        return self.make(Random(f"{self.name}/{seed}/{number}"))  # a text: the same under every Python


@dataclass(frozen=True)
class Failure:
    """Something went wrong with an input, or with one of several."""

    kind: str
    seed: int
    numbers: range
    what: str

    @property
    def again(self) -> str:
        """The command that does it again."""
        first, last = self.numbers[0], self.numbers[-1]
        only = str(first) if first == last else f"{first}-{last}"
        return shlex.join(
            ["python", "-m", "tests.fuzz", "--kind", self.kind, "--seed", str(self.seed), "--only", only]
        )

    @property
    def sort(self) -> str:
        """The same for failures that are most likely one: the place in the code, and words without particulars."""
        place = re.findall(r'File ".*(mediaserver/.*, line \d+)', self.what)[-1:]
        words = re.sub(r"""['"{\d].*""", "", self.what.splitlines()[-1])
        return " ".join((self.kind, *place, words))

    def __str__(self) -> str:
        return f"{self.again}\n{self.what}"
