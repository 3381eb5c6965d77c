"""`make mutants`: plants mistakes in the core, one at a time, and tells which mistakes no test notices.

    mutants.py [--sample N] [MODULE ...] [-- TEST ...]

A MODULE is a folder or a file of the package, such as `wire` or `playout/pacing/pacer`. Without a MODULE or a
TEST, `[tool.mutmut]` in pyproject.toml names them. With `--sample`, at most N mistakes are planted in each file.
They are chosen at random with a fixed seed, so that each run has the same mistakes. The library mutmut makes the
mistakes. This script adds two kinds: a statement is left out, and a condition is always true or always false.

All mistakes are planted in one run of pytest, which first collects the tests and records which functions each test
reaches. For each mistake, it forks, puts the mistaken code into the function, and runs the tests that reach the
function, the fastest first. A mistake therefore costs no more time than these tests. Properties and decorated
functions get mistakes as well, which mutmut's own runner leaves out. If a function is called at import only, the
constants of its module are computed again with the mistake, and the tests that reach any function of the module
are run. No mistakes are planted in code outside of functions, nor in code that runs in other processes.
"""

import argparse
import difflib
import fnmatch
import importlib
import inspect
import json
import os
import random
import resource
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import libcst as cst
import pytest
from _pytest.runner import runtestprotocol
from mutmut.configuration import config
from mutmut.mutation import file_mutation
from mutmut.mutation.mutators import mutation_operators
from rich.console import Console
from rich.table import Table

# Decorators of functions that get no mistakes, because they are empty, or because their results are cached.
_NO_MISTAKE = {"overload", "abstractmethod", "cache", "lru_cache"}
_WITHOUT = ("cacheprovider", "xdist", "terminal", "faulthandler")  # pytest plugins that are switched off
_ARGUMENTS = [*(f"-pno:{plugin}" for plugin in _WITHOUT), "-oaddopts=", "--timeout=60"]
_SLOWER = 5  # the factor by which a mistake may raise a test's CPU time, before the test counts as timed out
_SLOWER_BY_THE_CLOCK = 60  # the factor by which a test may take longer by the clock, on a busy machine
_SURVIVED, _KILLED, _NONE, _LATE = range(4)  # exit codes of a child process that tests one mistake
_OUTCOMES = ("killed", "timed out", "survived", "untested")


def leave_out(node: cst.Expr | cst.Assign | cst.AugAssign) -> Iterator[cst.Pass]:
    """Mutate a call for its effect, or an assignment to an attribute or an item: leave the statement out."""
    if isinstance(node, cst.Expr):
        effect = isinstance(node.value, cst.Call | cst.Await)
    else:
        targets = [target.target for target in node.targets] if isinstance(node, cst.Assign) else [node.target]
        effect = any(isinstance(target, cst.Attribute | cst.Subscript) for target in targets)
    if effect:
        yield cst.Pass(semicolon=node.semicolon)


def unguard(node: cst.If) -> Iterator[cst.If]:
    """Mutate a condition into one that always holds, and into one that never holds."""
    for always in ("True", "False"):
        name = cst.Name(always, lpar=[cst.LeftParen()], rpar=[cst.RightParen()])  # as `if(x)` has no blank
        yield node.with_changes(test=name)


class Visitor(file_mutation.MutationVisitor):  # type: ignore[misc]
    """Finds the places where a mistake can be made, in decorated functions as well."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and node.decorators:
            written = (cst.Module([]).code_for_node(each.decorator) for each in node.decorators)
            return any(name.partition("(")[0] in _NO_MISTAKE for name in written)
        return bool(super()._skip_node_and_children(node))


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake in a function of a module."""

    module: ModuleType
    function: str  # the qualified name of the function
    right: str  # the function's source without the mistake
    wrong: str  # the function's source with the mistake
    code: CodeType | None  # the function's code with the mistake; None if the mistake is in a default value
    whole: str  # the source of the whole module with the mistake

    def plant(self, *, anew: bool) -> bool:
        """Plant the mistake in this process; return False if it changes nothing.

        `anew` tells that the function is called at import only, so that the module's constants are computed again.
        """
        if anew:
            made = vars(imported(self.module, self.whole))
            constants = {name: value for name, value in made.items() if not callable(value) and name[:2] != "__"}
            vars(self.module).update(constants)
            return True
        function = functions_of(self.module)[self.function]
        if self.code is not None:
            function.__code__ = self.code
            return True
        wrong = functions_of(imported(self.module, self.whole))[self.function]
        before = repr((function.__defaults__, function.__kwdefaults__))
        function.__defaults__, function.__kwdefaults__ = wrong.__defaults__, wrong.__kwdefaults__
        return repr((function.__defaults__, function.__kwdefaults__)) != before

    def __str__(self) -> str:
        lines = difflib.unified_diff(self.right.splitlines(), self.wrong.splitlines(), n=0, lineterm="")
        changes = [f"{line[0]} {line[1:].strip()}" for line in lines if line[:2] not in ("--", "++", "@@")]
        return "\n    ".join([f"{self.module.__name__}: {self.function}", *changes])


def imported(module: ModuleType, source: str) -> ModuleType:
    """Run a module's source in a new module object, which is not put into `sys.modules`."""
    other = ModuleType(module.__name__)
    other.__file__ = module.__file__
    exec(compile(source, str(other.__file__), "exec"), other.__dict__)  # noqa: S102
    return other


def called_at_import(file: str, module: ModuleType) -> set[str]:
    """The qualified names of a module's functions that run while the module is imported."""
    names: set[str] = set()

    def called(frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename == module.__file__:
            names.add(frame.f_code.co_qualname)

    source = Path(file).read_text(encoding="utf-8")
    sys.settrace(called)
    try:
        imported(module, source)
    finally:
        sys.settrace(None)
    return names


def functions_of(module: ModuleType) -> dict[str, FunctionType]:
    """A module's own functions and methods, without their decorators, by their qualified names."""
    found: dict[str, FunctionType] = {}

    def add(thing: Any) -> None:
        if isinstance(thing, property):
            thing = thing.fget
        elif isinstance(thing, classmethod | staticmethod):
            thing = thing.__func__
        if isinstance(thing, FunctionType):
            function = inspect.unwrap(thing)
            if function.__code__.co_filename == module.__file__:
                found.setdefault(function.__qualname__, function)

    for thing in list(vars(module).values()):
        add(thing)
        if isinstance(thing, type) and thing.__module__ == module.__name__:
            for member in list(vars(thing).values()):
                add(member)
    return found


def code_in(source: str, file: str, name: str) -> CodeType:
    """The code of the only function in a source, without its line numbers. The function may be in a class."""
    code = compile(source, file, "exec")
    for part in name.split("."):
        code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == part)
    return code.replace(co_firstlineno=1, co_linetable=b"")


def mutants_of(file: str, module: ModuleType) -> Iterator[Mutant]:
    """All mistakes that can be made in a file."""
    tree, mutations, *_ = file_mutation.create_mutations(file, Path(file).read_text(encoding="utf-8"))
    functions = functions_of(module)
    homes: dict[int, cst.ClassDef] = {}
    for statement in tree.body:
        if isinstance(statement, cst.ClassDef) and isinstance(statement.body, cst.IndentedBlock):
            homes |= {id(each): statement for each in statement.body.body}
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if not isinstance(function, cst.FunctionDef) or _is_none_for_false(mutation):
            continue
        home, name = homes.get(id(function)), function.name.value
        if home is not None:
            name = f"{home.name.value}.{name}"
        wrong = file_mutation.deep_replace(function, mutation.original_node, mutation.mutated_node)
        right_source, wrong_source = (_alone(each, home) for each in (function, wrong))
        try:
            before, after = (code_in(each, str(module.__file__), name) for each in (right_source, wrong_source))
        except SyntaxError:
            continue
        if name not in functions or before.co_freevars != after.co_freevars:
            continue
        # If the sources differ and the code does not, the mistake is in an annotation or in a default value.
        if right_source != wrong_source:
            whole = file_mutation.deep_replace(tree, mutation.original_node, mutation.mutated_node).code
            yield Mutant(module, name, right_source, wrong_source, after if before != after else None, whole)


def _is_none_for_false(mutation: file_mutation.Mutation) -> bool:
    """Whether a mutation only sets a variable to None in place of False, which is no mistake."""
    values = [
        getattr(getattr(node, "value", None), "value", None)
        for node in (mutation.original_node, mutation.mutated_node)
    ]
    return isinstance(mutation.original_node, cst.Assign | cst.AnnAssign) and values == ["False", "None"]


def _alone(function: cst.FunctionDef, home: cst.ClassDef | None) -> str:
    """The source of a function alone, or of its class with this function only."""
    statement = function
    if home is not None:
        statement = home.with_changes(decorators=[], body=cst.IndentedBlock([function]))
    return str(cst.Module([statement]).code)


class Planter:
    """A pytest plugin that plants mistakes, in place of pytest's own loop over the tests."""

    def __init__(self, files: Sequence[str], sample: int) -> None:
        self._files, self._sample = files, sample
        self._items: list[pytest.Item] = []
        self._reached: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
        self.outcomes: dict[str, Counter[str]] = {file: Counter() for file in files}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Set hypothesis up before tests are imported, so that no test fails because the machine is slow."""
        from hypothesis import HealthCheck, Phase, settings  # imported here, as pytest has to import it first

        phases, checks = [Phase.explicit, Phase.generate], list(HealthCheck)  # failures are not shrunk
        settings.register_profile(
            "mutants", phases=phases, suppress_health_check=checks, database=None, deadline=None
        )
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = session.items
        self._look()
        for file in self._files:
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            mutants = list(mutants_of(file, module))
            if self._sample and len(mutants) > self._sample:
                print(f"{file}: {self._sample} of {len(mutants)}", file=sys.__stdout__, flush=True)
                mutants = random.Random(0).sample(mutants, self._sample)
            at_import = called_at_import(file, module)
            for mutant in mutants:
                reached = self._reached.get((file, mutant.function), [])
                if anew := not reached and mutant.function in at_import:
                    reached = self._reached_in(file)
                outcome = self._outcome(mutant, reached, anew=anew)
                if outcome:
                    self.outcomes[file][outcome] += 1
                if outcome not in ("killed", ""):
                    print(f"{outcome}: {mutant}", file=sys.__stdout__, flush=True)
        return True

    def _reached_in(self, file: str) -> list[tuple[float, int]]:
        """The tests that reach any function of a file."""
        return sorted({each for (where, _), tests in self._reached.items() if where == file for each in tests})

    def _look(self) -> None:
        """Run all tests in a child process, to record which functions each test reaches, and its CPU time."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            with os.fdopen(writing, "w") as report:
                json.dump(list(self._tests_reach()), report)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as report:
            for number, (passed, seconds, reached) in enumerate(json.load(report)):
                for file, function in reached if passed else ():
                    self._reached[file, function].append((seconds, number))
        os.waitpid(pid, 0)

    def _tests_reach(self) -> Iterator[tuple[bool, float, list[tuple[str, str]]]]:
        files = {str(Path(file).absolute()): file for file in self._files}
        reached: set[tuple[str, str]] = set()

        def called(frame: FrameType, event: str, argument: object) -> None:
            if (file := files.get(frame.f_code.co_filename)) is not None:
                reached.add((file, frame.f_code.co_qualname))

        for item, following in zip(self._items, [*self._items[1:], None], strict=True):
            reached.clear()
            began = time.process_time()
            threading.settrace(called)
            sys.settrace(called)
            passed = not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))
            sys.settrace(None)
            if not passed:
                print(f"fails by itself, and is left out: {item.nodeid}", file=sys.__stderr__, flush=True)
            yield passed, time.process_time() - began, sorted(reached)

    def _outcome(self, mutant: Mutant, reached: list[tuple[float, int]], *, anew: bool) -> str:
        """The outcome of a mistake: one of `_OUTCOMES`, or "" if the mistake changes nothing."""
        if not reached:
            return "untested"
        pid = os.fork()
        if not pid:
            self._child(mutant, sorted(reached), anew=anew)
        until = time.monotonic() + 60 + _SLOWER_BY_THE_CLOCK * sum(seconds for seconds, _ in reached)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
        if os.WIFSIGNALED(ended[1]):
            return "timed out" if os.WTERMSIG(ended[1]) in (signal.SIGXCPU, signal.SIGKILL) else "killed"
        return {_SURVIVED: "survived", _NONE: "", _LATE: "timed out"}.get(os.WEXITSTATUS(ended[1]), "killed")

    def _child(self, mutant: Mutant, reached: list[tuple[float, int]], *, anew: bool) -> None:
        """Test one mistake in a child process, which exits with the outcome. Never returns."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        code = _KILLED  # a mistake that breaks this method itself would be noticed, too
        try:
            code = self._test(reached) if mutant.plant(anew=anew) else _NONE
        finally:
            os._exit(code)

    def _test(self, reached: list[tuple[float, int]]) -> int:
        items = [self._items[number] for _, number in reached]
        for (seconds, _), item, following in zip(reached, items, [*items[1:], None], strict=True):
            limit = int(time.process_time() + 3 + _SLOWER * seconds)  # a mistake may make a loop endless
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            reports = runtestprotocol(item, log=False, nextitem=following)
            if failed := [report for report in reports if report.failed]:
                return _LATE if "Failed: Timeout" in failed[0].longreprtext else _KILLED
        return _SURVIVED


def report(outcomes: dict[str, Counter[str]]) -> None:
    """Print how many mistakes of each module, and of each folder, were noticed."""
    heaps: dict[str, Counter[str]] = defaultdict(Counter)
    for file, counts in outcomes.items():
        for heap in (file.removeprefix("mediaserver/"), f"{Path(file).parent.name}/", "all"):
            heaps[heap].update(counts)
    table = Table("module", "mutants", *_OUTCOMES, "noticed")
    for heap, counts in sorted(heaps.items(), key=lambda each: (each[0] == "all", each[0].endswith("/"), each[0])):
        numbers = [counts[outcome] for outcome in _OUTCOMES]
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
    os.chdir(Path(__file__).parents[1])
    sys.path.insert(0, str(Path.cwd()))
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
    kinds = [(cst.Expr, leave_out), (cst.Assign, leave_out), (cst.AugAssign, leave_out), (cst.If, unguard)]
    mutation_operators.extend(kinds)
    file_mutation.MutationVisitor = Visitor
    planter = Planter(files, options.sample)
    code = pytest.main([*_ARGUMENTS, *tests], plugins=[planter])
    if sum(map(Counter.total, planter.outcomes.values())):
        report(planter.outcomes)
    else:
        sys.exit(f"pytest ended with {code}")


if __name__ == "__main__":
    main()
