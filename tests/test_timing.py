"""The witness of how late the machine is."""

import subprocess
import sys

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
