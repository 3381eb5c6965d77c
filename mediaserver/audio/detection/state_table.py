"""What detectors keep between two frames, in one table, so that one operation works on the frames of many."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FEWEST = 16  # number of rows of a new table

Field = tuple[str, DTypeLike, tuple[int, ...]]  # the name, the type and the shape of what a row has in a column
Columns = dict[str, NDArray[Any]]


class StateTable:
    """A table with one row for each detector of a kind. A row's fields are those of `fields`.

    Each column is an array of its own: numpy takes rows out of a whole array in a third of the time.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.columns: Columns = {name: np.zeros((_FEWEST, *shape), kind) for name, kind, shape in fields}
        self._free = list(range(_FEWEST))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def add(self) -> int:
        """Take a row for a new detector, all fields 0, and return its index. `columns` may get other arrays."""
        if not self._free:
            count = len(self)
            for name, column in self.columns.items():
                self.columns[name] = np.concatenate((column, np.zeros_like(column)))
            self._free.extend(range(count, 2 * count))
        index = self._free.pop()
        for column in self.columns.values():
            column[index] = 0
        return index

    def remove(self, index: int) -> None:
        """Give a row back, as its detector is gone."""
        self._free.append(index)
