"""Twenty thousand hostile inputs, and a server that does not mind. `make fuzz` goes on with fresh seeds."""

import os
import shutil
from collections import Counter

import pytest

from tests.fuzz.catalogue import KINDS, ROUND
from tests.fuzz.kinds import Failure
from tests.fuzz.runner import Round
from tests.timing import UNIT

SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.timeout(600 * UNIT)  # of the clock, whoever else has the processor
async def test_no_input_crashes_hangs_or_is_let_through() -> None:
    taken: Counter[str] = Counter()
    failures: list[Failure] = []

    def progress(kind: str, inputs: int, wrong: list[Failure]) -> None:
        taken[kind] += inputs
        failures.extend(wrong)

    wrong = await Round(SEED, {kind: range(count) for kind, count in ROUND.items()}, progress).run()
    one_of_a_sort = {failure.sort: str(failure) for failure in reversed(failures)}
    assert not failures, f"{len(failures)} failures, of these sorts:\n\n" + "\n\n".join(one_of_a_sort.values())
    assert wrong == []
    possible = {kind: n for kind, n in ROUND.items() if not KINDS[kind].needs_ffmpeg or shutil.which("ffmpeg")}
    assert taken == possible
    assert sum(taken.values()) >= 20_000


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not KINDS[kind].needs_ffmpeg])
def test_an_input_is_had_again_by_its_kind_seed_and_number(kind: str) -> None:
    inputs = [KINDS[kind].input(7, number) for number in range(20)]
    assert inputs == [KINDS[kind].input(7, number) for number in range(20)]
    assert inputs != [KINDS[kind].input(8, number) for number in range(20)]


def test_a_failure_tells_how_to_have_it_again() -> None:
    failure = Failure("wav", 17, range(423, 424), "it broke")
    assert failure.again == "python -m tests.fuzz --kind wav --seed 17 --only 423"
    assert Failure("frame", 1, range(100, 200), "").again.endswith("--only 100-199")
