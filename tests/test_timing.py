"""What tests tell time by: the witness of how late the machine is, and the loop whose clock jumps."""

import asyncio
import subprocess
import sys

import pytest

from tests.virtual import VirtualLoop

IN_A_FORK = """
import os, threading
from tests.timing import Witness

witness = Witness()
child = os.fork()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for _ in range(3):
    witness.anew()
os._exit(threading.active_count() - 2)
"""


def test_a_process_that_was_forked_has_one_witness_of_its_own() -> None:
    """Else whatever runs tests in forks, as `make mutants` does, sees all but the first of them fail."""
    assert subprocess.run([sys.executable, "-c", IN_A_FORK], check=False).returncode == 0


def test_a_callback_that_fails_again_and_again_at_one_time_ends_a_test_on_virtual_time() -> None:
    loop = VirtualLoop()

    def fail() -> None:
        loop.call_at(loop.time(), fail)
        raise ValueError("broken")

    loop.call_soon(fail)
    with pytest.raises(RuntimeError, match=r"^callbacks fail again and again: .*ValueError\('broken'\)"):
        loop.run_until_complete(asyncio.sleep(1))
    loop.close()
