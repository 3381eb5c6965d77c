"""Matrix products in the calling thread alone, of the rows of an array with one matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]  # float32 throughout

# OpenBLAS, which numpy multiplies matrices by, has several threads share a product of more multiplications than
# these. The other threads then wait for more work in a loop, which takes the time of a core.
_MOST_MULTIPLICATIONS = 1 << 18


def products(rows: Matrix, matrix: Matrix) -> Matrix:
    """The product of each row with the matrix. `rows` has shape (n, k) or (k,), and `matrix` has shape (k, m)."""
    most = max(1, _MOST_MULTIPLICATIONS // matrix.size)
    if rows.ndim == 1 or len(rows) <= most:
        product: Matrix = rows @ matrix
        return product
    result = np.empty((len(rows), matrix.shape[1]), np.float32)
    whole = len(rows) - len(rows) % most
    parts, of_parts = (
        rows[:whole].reshape(-1, most, rows.shape[1]),
        result[:whole].reshape(-1, most, matrix.shape[1]),
    )
    np.matmul(parts, matrix, out=of_parts)  # numpy multiplies one part after another
    np.matmul(rows[whole:], matrix, out=result[whole:])
    return result
