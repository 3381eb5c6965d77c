"""Matrix products in the calling thread alone, of the rows of an array with one matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Matrix = NDArray[np.floating[Any]]  # float32 throughout

# OpenBLAS, which numpy multiplies matrices by, has several threads share a large product. The other threads then
# wait for more work in a loop, which takes the time of a core. The limit holds for the whole process.
ThreadpoolController().select(internal_api="openblas").limit(limits=1)


def products(rows: Matrix, matrix: Matrix) -> Matrix:
    """The product of each row with the matrix. `rows` has shape (..., n, k) or (k,), and `matrix` (k, m)."""
    product: Matrix = rows @ matrix
    return product
