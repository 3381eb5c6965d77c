"""What changed in a folder since it was taken in, and for how long it has been as it is now."""

import os
from collections.abc import Iterator

from mediaserver.playout.prompts.scan import ABSENT, Inventory, Sight

_TICK = 0.001  # seconds: a clock counts no finer everywhere


class Changes:
    """Compares looks at a folder with what was taken in.

    A change counts once two looks, `settle` seconds apart, found the same: a file still being copied is left to
    grow, and one that is written by deleting it first is not taken for removed. Each name waits for itself.
    """

    def __init__(self) -> None:
        self._taken: dict[str, Sight] = {}
        self._waiting: dict[str, tuple[Sight, float]] = {}  # changed, and since when it is so
        self._folder: tuple[int, int] | None = None

    @property
    def waiting(self) -> bool:
        """Whether there are changes that another look may settle."""
        return bool(self._waiting)

    def take(self, name: str, sight: Sight) -> None:
        """It is taken in, for good or bad: nothing changed there any more."""
        self._waiting.pop(name, None)
        if sight == ABSENT:
            self._taken.pop(name, None)
        else:
            self._taken[name] = sight

    def settled(self, inventory: Inventory, now: float, settle: float) -> dict[str, Sight]:
        """What a look made at `now` settles, by name; ABSENT where something was."""
        inventory = self._unless_away(inventory)
        found = dict(self._different(inventory))
        self._waiting = {name: self._first_seen(name, sight, now) for name, sight in found.items()}
        return {name: sight for name, sight in found.items() if self._waiting[name][1] + settle <= now + _TICK}

    def _first_seen(self, name: str, sight: Sight, now: float) -> tuple[Sight, float]:
        before = self._waiting.get(name)
        return before if before is not None and before[0] == sight else (sight, now)

    def _different(self, inventory: Inventory) -> Iterator[tuple[str, Sight]]:
        sights, hidden = inventory.sights, inventory.hidden
        for name in {**self._taken, **sights}:
            sight = sights.get(name, ABSENT)
            if sight == ABSENT and name.startswith(hidden):
                continue  # nobody can tell
            if sight != self._taken.get(name, ABSENT):
                yield name, sight

    def _unless_away(self, inventory: Inventory) -> Inventory:
        """A look at another folder than before, and an empty one, is a look at a mount point without its mount."""
        if self._folder in (None, inventory.folder) or inventory.sights:
            self._folder = inventory.folder or self._folder
            return inventory
        away = Sight(None, {os.curdir: "is another folder than it was, and empty"}, ())
        return Inventory({"": away}, inventory.ignored, inventory.folder)
