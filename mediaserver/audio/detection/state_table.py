"""What detectors keep between two frames, in one table, so that one operation works on the frames of many."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# The number of rows of a new table: more than one process can serve. To add rows later takes milliseconds, in
# which all calls are late. The memory of rows that were never taken is not resident.
_ROWS = 4096

Field = tuple[str, DTypeLike, tuple[int, ...]]  # the name, the type and the shape of what a row has in a column
Columns = dict[str, NDArray[Any]]


class StateTable:
    """A table with one row for each detector of a kind. A row's fields are those of `fields`.

    It has `rows` rows, and grows if they do not suffice. Each column is an array of its own: numpy takes rows out
    of a whole array in a third of the time.
    """

    def __init__(self, fields: Sequence[Field], rows: int = _ROWS) -> None:
        self.columns: Columns = {name: np.zeros((rows, *shape), kind) for name, kind, shape in fields}
        self._free = list(reversed(range(rows)))  # the first rows are taken first

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
