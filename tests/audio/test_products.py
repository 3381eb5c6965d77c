"""Matrix products in the calling thread alone."""

import subprocess
import sys

import numpy as np
import pytest

from mediaserver.audio.products import products

MATRIX = np.random.default_rng(1).standard_normal((128, 110)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 19, 100])
def test_each_row_is_multiplied(count: int) -> None:
    rows = np.random.default_rng(2).standard_normal((count, 128)).astype(np.float32)
    found = products(rows, MATRIX)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows.astype(float) @ MATRIX, atol=1e-4)


def test_a_row_may_come_alone() -> None:
    row = np.arange(128, dtype=np.float32)
    np.testing.assert_allclose(products(row, MATRIX), row @ MATRIX)


@pytest.mark.parametrize("count", [1, 40])
def test_windows_that_overlap_are_multiplied_as_rows(count: int) -> None:
    spans = np.random.default_rng(3).standard_normal((count, 240)).astype(np.float32)
    windows = np.ndarray((4, count, 128), np.float32, spans, strides=(120, spans.strides[0], 4))
    found = products(windows, MATRIX)
    for n in range(4):
        np.testing.assert_allclose(found[n], spans[:, 30 * n : 30 * n + 128].astype(float) @ MATRIX, atol=1e-4)


# Prints the CPU time of a large product in the whole process, over that in the calling thread.
SHARE = """
import time
import numpy as np
from mediaserver.audio.products import products
matrix = np.ones((1500, 1500), np.float32)
process, thread = time.process_time(), time.thread_time()
for _ in range(3):
    products(matrix, matrix)
print((time.process_time() - process) / (time.thread_time() - thread))
"""


def test_no_other_thread_takes_part_in_a_large_product() -> None:
    """Nor waits for one in a loop, which would take the time of a core from what is sent to calls."""
    done = subprocess.run([sys.executable, "-c", SHARE], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.2
