"""Matrix products in the calling thread alone, of the rows of an array with one matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]  # float32 throughout

# OpenBLAS, which numpy multiplies matrices by, has several threads share a product of more multiplications than
# these. The other threads then wait for more work in a loop, which takes the time of a core.
_MOST_MULTIPLICATIONS = 1 << 18


def products(rows: Matrix, matrix: Matrix) -> Matrix:
    """The product of each row with the matrix. `rows` has shape (..., n, k) or (k,), and `matrix` (k, m)."""
    most = max(1, _MOST_MULTIPLICATIONS // matrix.size)
    if rows.ndim == 1 or rows.shape[-2] <= most:
        product: Matrix = rows @ matrix
        return product
    result = np.empty((*rows.shape[:-1], matrix.shape[1]), np.float32)
    whole = rows.shape[-2] - rows.shape[-2] % most
    if rows.ndim == 2:
        parts, of_parts = (each[:whole].reshape(-1, most, each.shape[1]) for each in (rows, result))
        np.matmul(parts, matrix, out=of_parts)  # numpy multiplies one part after another
    else:
        for start in range(0, whole, most):
            part = slice(start, start + most)
            np.matmul(rows[..., part, :], matrix, out=result[..., part, :])
    np.matmul(rows[..., whole:, :], matrix, out=result[..., whole:, :])
    return result
