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
    for at in range(0, len(rows), most):
        np.matmul(rows[at : at + most], matrix, out=result[at : at + most])
    return result
