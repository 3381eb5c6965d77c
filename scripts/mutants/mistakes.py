"""The mistakes that can be planted in a file: those of the library mutmut, and two kinds of this package."""

import difflib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import libcst as cst
from mutmut.mutation import file_mutation
from mutmut.mutation.mutators import mutation_operators

# Decorators of functions that get no mistakes, because they are empty, or because their results are cached.
_NO_MISTAKE = {"overload", "abstractmethod", "cache", "lru_cache"}


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


def add_kinds() -> None:
    """Have mutmut make the two further kinds of mistakes, and look into decorated functions."""
    mutation_operators.extend(
        [(cst.Expr, leave_out), (cst.Assign, leave_out), (cst.AugAssign, leave_out), (cst.If, unguard)]
    )
    file_mutation.MutationVisitor = Visitor
