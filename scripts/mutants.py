"""Plant mistakes in the core, one at a time, and tell which of them no test notices: `make mutants`.

    mutants.py [--again] [--jobs N] [--show] [--report] [MODULE ...]

A MODULE is a folder or a file of the package, such as `wire` or `playout/pacer`; without one, all of what
`[tool.mutmut]` in pyproject.toml names. What was noticed once is not planted again before its function changes,
unless asked `--again`; all else is. `--show` prints what each survivor changed.

mutmut plants its own mistakes. Beside those, a statement is left out, and a guard is always or never passed.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import libcst as cst
from mutmut import __main__ as mutmut
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.mutators import mutation_operators
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
NOTICED = {"killed", "timeout", "segfault", "caught by type check"}


def leave_out(node: cst.Expr | cst.Assign | cst.AugAssign) -> Iterator[cst.Pass]:
    """A call for its effect, a state that is set, a counter that is moved: forgotten."""
    if isinstance(node, cst.Expr):
        effect = isinstance(node.value, cst.Call | cst.Await)
    else:
        targets = [target.target for target in node.targets] if isinstance(node, cst.Assign) else [node.target]
        effect = any(isinstance(target, cst.Attribute | cst.Subscript) for target in targets)
    if effect:
        yield cst.Pass(semicolon=node.semicolon)


def unguard(node: cst.If) -> Iterator[cst.If]:
    """A condition that always holds, and one that never does."""
    for always in ("True", "False"):
        name = cst.Name(always, lpar=[cst.LeftParen()], rpar=[cst.RightParen()])  # for `if(x)` is Python too
        yield node.with_changes(test=name)


def module_of(mutant: str) -> str:
    """`mediaserver.playout.pacer.x_f__mutmut_1` is of playout/pacer."""
    return mutant.rpartition(".")[0].removeprefix("mediaserver.").replace(".", "/")


def results(wanted: list[str]) -> dict[str, int | None]:
    """Every mutant of the modules wanted, by its name, with how the tests ended."""
    found: dict[str, int | None] = {}
    for meta in sorted(Path("mutants/mediaserver").rglob("*.meta")):
        module = str(meta.relative_to("mutants/mediaserver")).removesuffix(".py.meta")
        if Path("mediaserver", f"{module}.py").exists() and any(
            module == name or module.startswith(name + "/") for name in wanted or [module]
        ):
            found |= json.loads(meta.read_text())["exit_code_by_key"]
    return found


def plant(wanted: list[str], again: bool, jobs: int) -> None:
    """Run the tests with each mutant that is not known to be noticed."""
    kinds = [(cst.Expr, leave_out), (cst.Assign, leave_out), (cst.AugAssign, leave_out), (cst.If, unguard)]
    mutation_operators.extend(kinds)
    Path("mutants").mkdir(exist_ok=True)
    copy_src_dir()
    copy_also_copy_files()
    mutmut.create_mutants(jobs)
    names = [name for name, code in results(wanted).items() if again or status_by_exit_code[code] not in NOTICED]
    if names:
        mutmut._run(names, jobs)


def report(found: dict[str, int | None], show: bool) -> None:
    """Print how many of each module were noticed, and which were not."""
    console = Console(soft_wrap=True)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, code in found.items():
        status = status_by_exit_code[code]
        for heap in (module_of(name), module_of(name).partition("/")[0] + "/", "all"):
            counts[heap][status] += 1
    table = Table("module", *(("mutants", "killed", "timed out", "survived", "untested", "noticed")))
    for heap in sorted(counts, key=lambda heap: (heap == "all", heap.endswith("/"), heap)):
        of = counts[heap]
        noticed = sum(of[status] for status in NOTICED)
        lived = of["survived"] + of["suspicious"]
        rest = of.total() - noticed - lived
        numbers = of.total(), noticed - of["timeout"], of["timeout"], lived, rest
        table.add_row(heap, *map(str, numbers), f"{100 * noticed / of.total():.0f} %")
    console.print(table)
    for name, code in found.items():
        if status_by_exit_code[code] not in NOTICED:
            console.print(f"{status_by_exit_code[code]}: {name}", highlight=False, markup=False)
            if show:
                source = Path("mediaserver", f"{module_of(name)}.py")
                changed = re.findall(r"^[-+](?![-+]).*$", get_diff_for_mutant(name, path=source), re.MULTILINE)
                console.print("\n".join(changed), highlight=False, markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--again", action="store_true", help="plant those as well that were noticed")
    parser.add_argument("--jobs", type=int, default=1, help="so many at once")
    parser.add_argument("--show", action="store_true", help="print what each survivor changed")
    parser.add_argument("--report", action="store_true", help="plant nothing: tell what is known")
    asked = parser.parse_args()
    wanted = [module.removeprefix("mediaserver/").removesuffix(".py").rstrip("/") for module in asked.modules]
    if not asked.report:
        plant(wanted, asked.again, asked.jobs)
    report(results(wanted), asked.show)


if __name__ == "__main__":
    main()
