"""`commands.md`: the command line, read from the commands themselves. A terminal's width plays no part."""

import re
from enum import Enum
from typing import Any, get_args, get_type_hints

import typer.main

from mediaserver.cli import app
from scripts.reference.markdown import code, page, prose, table

Kinds = dict[str, Any]  # the types of a command's parameters, by their names
_ABOUT = """\
`mediaserver --help` lists the commands, `mediaserver COMMAND --help` shows what stands here.
`mediaserver --version` tells the version; `mediaserver --install-completion` has your shell complete commands and
options.

**Exit codes.** 0: all went well. 1: the stream was refused or wrong, or a file could not be written; of `serve`, a
second signal or a handler that would not end cut the drain short. 2: the configuration, a prompt that a path
names, or the command line is wrong."""


def write() -> str:
    """The page."""
    commands: Any = typer.main.get_command(app)
    functions = {each.name or _function(each).__name__: _function(each) for each in app.registered_commands}
    overview, blocks = [], []
    for name, command in commands.commands.items():
        kinds = get_type_hints(functions[name])
        first, *others = _paragraphs(command)
        overview.append((f"[{name}](#mediaserver-{name})", prose(first)))
        blocks += [f"## mediaserver {name}", _usage(name, command, kinds), prose(first), *map(prose, others)]
        blocks += [_arguments(command, kinds), _options(command, kinds), _examples(command)]
    return page("Commands", "the commands themselves", _ABOUT, table(("command", ""), overview), *blocks)


def _function(command: Any) -> Any:
    return command.callback


def _paragraphs(command: Any) -> list[str]:
    return [each for each in re.split(r"\n\s*\n", (command.help or "").strip()) if each]


def _usage(name: str, command: Any, kinds: Kinds) -> str:
    words = [_value(each, kinds) for each in _of_kind(command, "argument")]
    return f"```sh\nmediaserver {' '.join((name, '[OPTIONS]', *words))}\n```"


def _of_kind(command: Any, kind: str) -> list[Any]:
    return [each for each in command.params if each.param_type_name == kind and each.name != "help"]


def _value(parameter: Any, kinds: Kinds) -> str:
    """What stands for the value; "" for a flag."""
    if getattr(parameter, "is_flag", False):
        return ""
    return str(parameter.metavar or "|".join(_choices(kinds[parameter.name])))


def _choices(kind: Any) -> list[str]:
    """The values that there are, of a parameter that has no word for its value."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(each.value) for each in kind]
    return [choice for each in get_args(kind) for choice in ([each] if isinstance(each, str) else _choices(each))]


def _arguments(command: Any, kinds: Kinds) -> str:
    rows = [(code(_value(each, kinds)), _text(each)) for each in _of_kind(command, "argument")]
    return table(("argument", ""), rows) if rows else ""


def _options(command: Any, kinds: Kinds) -> str:
    rows = []
    for each in _of_kind(command, "option"):
        names = [code(f"{name} {_value(each, kinds)}".strip()) for name in (*each.opts, *each.secondary_opts)]
        rows.append((", ".join(names), _default(each), _text(each)))
    return table(("option", "default", ""), rows) if rows else ""


def _default(option: Any) -> str:
    if option.required:
        return "*required*"
    value = getattr(option.default, "value", option.default)
    shown = isinstance(value, str | int | float) and value is not False and value != ""
    return code(value) if shown else ""


def _text(parameter: Any) -> str:
    variable = f" Environment variable: {code(parameter.envvar)}." if parameter.envvar else ""
    return prose(parameter.help or "") + variable


def _examples(command: Any) -> str:
    found = re.findall(r"Example: (.*\S)", command.epilog or "")
    return "```sh\n" + "\n".join(found) + "\n```" if found else ""
