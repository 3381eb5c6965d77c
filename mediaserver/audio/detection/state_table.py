"""What detectors keep between two frames, in one table, so that one operation works on the frames of many."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST = 16  # number of rows of a new table


class StateTable:
    """A table with one row for each detector of a kind. A row's fields are those of `dtype`."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.rows: NDArray[Any] = np.zeros(_FEWEST, dtype)
        self._free = list(range(_FEWEST))

    def add(self) -> int:
        """Take a row for a new detector, all fields 0, and return its index. `rows` may become another array."""
        if not self._free:
            count = len(self.rows)
            self.rows = np.concatenate((self.rows, np.zeros(count, self.rows.dtype)))
            self._free.extend(range(count, 2 * count))
        index = self._free.pop()
        self.rows[index] = 0
        return index

    def remove(self, index: int) -> None:
        """Give a row back, as its detector is gone."""
        self._free.append(index)
