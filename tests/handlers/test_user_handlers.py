"""Mistakes in users' own handlers: each is one line that names the handler, and what is wrong with it."""

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

from mediaserver import config
from mediaserver.call import Call
from mediaserver.handlers.base import Handler
from mediaserver.handlers.common import user_handlers
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing import requirements
from mediaserver.routing.configuration import Configuration
from tests.server.process import write_config

HEAD = """
from mediaserver.handlers import Handler, PlaybackSettings
class Mine(Handler):
    prompt: str = "welcome"
    async def run(self, call):
        pass
"""
MINE = 'c.toml: paths."/mine".handler: handler "users_own:Mine"'


class Build(Protocol):
    """Builds the configuration of a path whose handler's module has this text."""

    def __call__(self, module: str, handler: str = ..., settings: str = ...) -> Configuration: ...


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    def build(module: str, handler: str = "users_own:Mine", settings: str = "") -> Configuration:
        (tmp_path / "users_own.py").write_text(module)
        sys.modules.pop("users_own", None)
        importlib.invalidate_caches()
        path = f'[paths."/mine"]\nhandler = "{handler}"\n{settings}\n[paths."/other"]\nhandler = "silence"\n'
        loaded, problems = config.load(write_config(tmp_path, path))
        return Configuration.build(loaded, "c.toml", problems)

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module of the same second and length is another one
    monkeypatch.syspath_prepend(tmp_path)
    yield build
    sys.modules.pop("users_own", None)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (
            "def prompt_names(self): return [self.promt]",
            "prompt_names() fails: AttributeError: 'Mine' object has no attribute 'promt' (users_own.py, line 7)",
        ),
        (
            "def prompt_names(self): pass",
            "prompt_names() should return a list of names of prompts: it returns None",
        ),
        (
            "def prompt_names(self): return self.prompt",
            "prompt_names() should return a list of names of prompts: it returns 'welcome'",
        ),
        (
            "def looped_prompts(self): return [self.prompt, 7]",
            "looped_prompts() should return a list of names of prompts: it has 7",
        ),
        ("def folders(self): return ['rec']", "folders() should return a list of Path: it has 'rec'"),
        (
            "def engines(self): yield 'hibari'",
            "engines() should return a list of EngineRequirement: it has 'hibari'",
        ),
        ("def flow_needs(self): return {}['x']", "flow_needs() fails: KeyError: 'x' (users_own.py, line 7)"),
        ("def prepare(self, speech): 1 / 0", "prepare() fails: ZeroDivisionError: division by zero (users_own.py"),
        ("def prepare(self): pass", "prepare() fails: TypeError: Mine.prepare() takes 1 positional argument"),
    ],
)
def test_what_a_handler_says_that_it_needs_is_asked_before_calls_come(build: Build, method: str, why: str) -> None:
    (problem,) = build(f"{HEAD}    {method}\n").problems
    assert problem.startswith(f"{MINE}: {why}")


def test_a_handler_that_cannot_say_what_it_needs_keeps_no_other_path_from_being_checked(build: Build) -> None:
    built = build(f"{HEAD}    def prompt_names(self): pass\n", settings='promt = "x"')
    assert [route.pattern for route in built.table] == ["/other"]
    assert built.problems[0] == 'c.toml: paths."/mine": promt: unknown setting (did you mean "prompt"?)'
    assert len(built.problems) == 2


def test_a_handler_of_which_settings_are_not_known_yet_is_not_asked(build: Build) -> None:
    built = build(f"{HEAD}    box: int\n    def prompt_names(self): return [{{1: 'a'}}[self.box]]\n")
    assert list(built.problems) == ['c.toml: paths."/mine": box is missing']
    assert requirements.missing_prompts(built.table, PromptSnapshot({}), "c.toml") == []


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("background: int = 3", 'has a field "background", which is a setting of every handler'),
        ("tones: str = 'a'", 'has a field "tones", which is a setting of every handler'),
        ("lead: int = 3", 'has a field "lead", which is a setting of every path'),
        ("time_limit: float = 3", 'has a field "time_limit", which is a setting of every path'),
    ],
)
def test_a_field_with_the_name_of_a_setting_that_the_server_reads_is_a_mistake(
    build: Build, field: str, why: str
) -> None:
    assert list(build(f"{HEAD}    {field}\n").problems) == [f"{MINE} {why}: give it another name"]


@pytest.mark.parametrize(
    ("addition", "why"),
    [
        (
            "thing: 'Order | None' = None",
            f"{MINE} has a field of a type that is not known when the class is made: Order",
        ),
        ("def __init__(self): super().__init__()", f"{MINE}: its settings cannot be validated: TypeError: "),
        (
            "def model_post_init(self, _): {}['x']",
            f"{MINE}: its settings cannot be validated: KeyError: 'x' (users_own.py, line 7)",
        ),
        (
            "def __init__(self, **settings):\n        super().__init__(**settings)\n        self.count = 1",
            'c.toml: paths."/mine": the class sets an attribute of self, which cannot be changed: declare settings'
            " as fields of the class, and keep what changes in variables of run",
        ),
    ],
)
def test_a_class_that_cannot_be_made_is_a_mistake(build: Build, addition: str, why: str) -> None:
    (problem,) = build(f"{HEAD}    {addition}\n", settings='prompt = "beep"').problems
    assert problem.startswith(why)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{}['x']", "KeyError: 'x' (users_own.py, line 7)"),
        ("import json\njson.loads('{')", "JSONDecodeError: "),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (users_own.py, line 7)"),
        ("def (", "SyntaxError: invalid syntax (users_own.py, line 7)"),
    ],
)
def test_a_module_that_fails_is_told_with_the_line(build: Build, line: str, why: str) -> None:
    (problem,) = build(f"{HEAD}{line}\n").problems
    assert problem.startswith(f"{MINE} cannot be imported: {why}")
    assert "(users_own.py, line " in problem


def test_the_letters_of_a_text_are_not_taken_for_prompts(build: Build) -> None:
    """Of a class of which a setting is missing, so that it is not asked yet."""
    built = build(f"{HEAD}    box: int\n    def prompt_names(self): return self.prompt\n")
    assert list(built.problems) == ['c.toml: paths."/mine": box is missing']
    assert requirements.missing_prompts(built.table, PromptSnapshot({}), "c.toml") == []


def test_a_class_may_give_a_setting_of_every_handler_another_default(build: Build) -> None:
    built = build(f"{HEAD}    background: str | None = 'office'\n    tones: bool = True\n")
    assert not built.problems
    assert next(iter(built.table)).validated.table.background == "office"


def test_a_field_of_playback_settings_is_free_for_a_class_that_does_not_have_them(build: Build) -> None:
    assert not build(f"{HEAD}    gain: str = 'high'\n").problems
    module = HEAD.replace("Mine(Handler)", "Mine(PlaybackSettings, Handler)")
    assert list(build(f"{module}    gain: str = 'high'\n").problems) == [
        f'{MINE} has a field "gain", which is a setting of PlaybackSettings: give it another name'
    ]


def test_a_run_that_takes_no_call_is_a_mistake(build: Build) -> None:
    assert list(build(HEAD.replace("self, call", "self")).problems) == [
        f"{MINE} has a method run that cannot be called with a call: begin it with async def run(self, call)"
    ]


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        ("users_own.Mine", 'no handler "users_own.Mine" (did you mean "users_own:Mine"?): playback, '),
        ("users_own.py:Mine", 'handler "users_own.py:Mine" cannot be imported (did you mean "users_own:Mine"?): '),
        (
            "./lib/users_own.py:Mine",
            'handler "./lib/users_own.py:Mine" cannot be imported (did you mean "lib.users_own:Mine"?):'
            " ImportError: a module is named as Python imports it, not by its file",
        ),
        (
            "users_own:mine",
            'handler "users_own:mine": users_own has no class "mine" (did you mean "Mine"?)',
        ),
    ],
)
def test_a_handlers_class_that_is_named_otherwise_is_suggested(build: Build, handler: str, why: str) -> None:
    (problem,) = build(HEAD, handler).problems
    assert problem.startswith(f'c.toml: paths."/mine".handler: {why}')


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("Mine = 3", "is not a subclass of mediaserver.handlers.Handler"),
        ("class Mine: pass", "is not a subclass of mediaserver.handlers.Handler"),
        ("class Mine(Handler): pass", "has no method run(self, call)"),
        (
            "class Mine(Handler):\n    def run(self, call): pass",
            "has a method run that is not async: begin it with async def run",
        ),
        (
            "class Mine(Handler):\n    async def run(self, call, more): pass",
            "has a method run that cannot be called with a call: begin it with async def run(self, call)",
        ),
        ("class Mine(Handler):\n    async def run(self, call, more=1): pass", ""),
        ("class Mine(Handler):\n    async def run(self, *all): pass", ""),
    ],
)
def test_what_a_class_of_a_handler_must_be(build: Build, body: str, problem: str) -> None:
    found = list(build(f"from mediaserver.handlers import Handler\n{body}\n").problems)
    assert [each.removeprefix(MINE).lstrip(": ") for each in found] == ([problem] if problem else [])


def test_the_handlers_of_a_module_are_its_classes_by_name() -> None:
    class Mine(Handler):
        async def run(self, call: Call) -> None: ...

    module = ModuleType("mine")
    vars(module).update(Mine=Mine, Other=int, name="Mine", function=len, Again=Mine)
    assert user_handlers.class_names(module) == ["Mine", "Again"]


class Needing(Handler):
    """A handler that says what it needs in whatever way a test wants."""

    says: Any = ()

    async def run(self, call: Call) -> None: ...

    def prompt_names(self) -> Iterable[str]:
        said: Iterable[str] = self.says
        return said


@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        ([], ""),
        (["a"], ""),
        (("a", "b"), ""),
        ({"a": 1}, ""),
        ("welcome", "it returns 'welcome'"),
        ("", "it returns ''"),
        (7, "it returns 7"),
        (["a", None, 3], "it has None"),  # the first of them
    ],
)
def test_what_a_handler_needs_is_any_collection_of_the_right_entries(says: object, wrong: str) -> None:
    why = f"prompt_names() should return a list of names of prompts: {wrong}"
    assert user_handlers.needs_problems(Needing(says=says)) == ([why] if wrong else [])


def test_an_error_outside_of_users_code_has_no_line_of_it() -> None:
    assert user_handlers.describe_failure(ValueError("wrong")) == "ValueError: wrong"
