"""`make mutants`: plants mistakes in the core, one at a time, and tells which mistakes no test notices.

    python -m scripts.mutants [--sample N] [MODULE ...] [-- TEST ...]

A MODULE is a folder or a file of the package, such as `wire` or `playout/pacing/pacer`. Without a MODULE or a
TEST, `[tool.mutmut]` in pyproject.toml names them. With `--sample`, at most N mistakes are planted in each file.
They are chosen at random with a fixed seed, so that each run has the same mistakes. The library mutmut makes the
mistakes. This package adds two kinds: a statement is left out, and a condition is always true or always false.

All mistakes are planted in one run of pytest, which first collects the tests and records which functions each test
reaches. For each mistake, it forks, puts the mistaken code into the function, and runs the tests that reach the
function, the fastest first. A mistake therefore costs no more time than these tests. Properties and decorated
functions get mistakes as well, which mutmut's own runner leaves out. If a function is called at import only, the
constants of its module are computed again with the mistake, and the tests that reach any function of the module
are run. No mistakes are planted in code outside of functions, nor in code that runs in other processes.
"""

import argparse
import fnmatch
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from mutmut.configuration import config
from rich.console import Console
from rich.table import Table

from .mistakes import add_kinds
from .planter import OUTCOMES, Planter

_WITHOUT = ("cacheprovider", "xdist", "terminal", "faulthandler")  # pytest plugins that are switched off
_ARGUMENTS = [*(f"-pno:{plugin}" for plugin in _WITHOUT), "-oaddopts=", "--timeout=60"]


def report(outcomes: dict[str, Counter[str]]) -> None:
    """Print how many mistakes of each module, and of each folder, were noticed."""
    heaps: dict[str, Counter[str]] = defaultdict(Counter)
    for file, counts in outcomes.items():
        for heap in (file.removeprefix("mediaserver/"), f"{Path(file).parent.name}/", "all"):
            heaps[heap].update(counts)
    table = Table("module", "mutants", *OUTCOMES, "noticed")
    for heap, counts in sorted(heaps.items(), key=lambda each: (each[0] == "all", each[0].endswith("/"), each[0])):
        numbers = [counts[outcome] for outcome in OUTCOMES]
        share = f"{100 * (numbers[0] + numbers[1]) / sum(numbers):.0f} %" if sum(numbers) else ""
        table.add_row(heap, str(sum(numbers)), *map(str, numbers), share)
    Console(file=sys.__stdout__, width=100).print(table)


def files_of(modules: Sequence[str]) -> list[str]:
    """The files of the requested modules, as far as the settings name them; without modules, all named files."""
    names = [module.removeprefix("mediaserver/").removesuffix(".py").rstrip("/") for module in modules]
    files = sorted(map(str, Path("mediaserver").rglob("*.py")))
    wanted = [file for file in files if any(fnmatch.fnmatch(file, each) for each in config().only_mutate)]
    return [
        file
        for file in wanted
        if not names or any(f"mediaserver/{n}.py" == file or file.startswith(f"mediaserver/{n}/") for n in names)
    ]


def main() -> None:
    asked = sys.argv[1:]
    at = asked.index("--") if "--" in asked else len(asked)
    parser = argparse.ArgumentParser(usage="%(prog)s [--sample N] [MODULE ...] [-- TEST ...]")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("modules", nargs="*")
    options, tests = parser.parse_args(asked[:at]), asked[at + 1 :] or config().pytest_add_cli_args_test_selection
    modules = options.modules
    files = files_of(modules)
    if not files:
        sys.exit(f"none of {', '.join(config().only_mutate)} is {' or '.join(modules)}")
    add_kinds()
    planter = Planter(files, options.sample)
    code = pytest.main([*_ARGUMENTS, *tests], plugins=[planter])
    if sum(map(Counter.total, planter.outcomes.values())):
        report(planter.outcomes)
    else:
        sys.exit(f"pytest ended with {code}")


if __name__ == "__main__":
    main()
