"""`commands.md`: the command line, read from the commands' signatures, so that no terminal's width matters."""

import inspect
import re
from enum import Enum
from typing import Any, NamedTuple, get_args, get_type_hints

from typer.models import OptionInfo

from mediaserver.cli.main import app
from scripts.reference.markdown import code, page, prose, table

_ABOUT = """\
`mediaserver --help` lists the commands, and `mediaserver COMMAND --help` describes one as this page does.
`mediaserver --version` prints the version. `mediaserver --install-completion` lets your shell complete commands
and options.

**Exit codes.** 0: success. 1: the stream was refused or wrong, or a file could not be written; with `serve`,
the drain was cut short by a second signal, or by a handler that did not end. 2: the configuration, a prompt
that a path names, or the command line is wrong."""


class Parameter(NamedTuple):
    """An argument or an option of a command."""

    name: str
    kind: Any  # the type of the parameter
    info: Any  # typer's `ArgumentInfo` or `OptionInfo`
    default: Any

    @property
    def is_option(self) -> bool:
        """Whether the parameter is an option, which has a name on the command line."""
        return isinstance(self.info, OptionInfo)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of an option on the command line, such as --config."""
        told = (self.info.default, *(self.info.param_decls or ()))  # typer takes the first name for a default
        names = tuple(each for each in told if isinstance(each, str) and each.startswith("-"))
        return names or (f"--{self.name.replace('_', '-')}",)

    @property
    def value(self) -> str:
        """The placeholder of the parameter's value, such as FILE; "" for a flag."""
        return "" if self.kind is bool else str(self.info.metavar or "|".join(_choices(self.kind)))

    @property
    def text(self) -> str:
        """The description of the parameter, with its environment variable."""
        variable = f" Environment variable: {code(self.info.envvar)}." if self.info.envvar else ""
        return prose(self.info.help or "") + variable

    @property
    def shown_default(self) -> str:
        """The default of the parameter, or a note that it is required; "" for a default of False, None or ""."""
        if self.default is inspect.Parameter.empty:
            return "*required*"
        value = getattr(self.default, "value", self.default)
        return code(value) if isinstance(value, str | int | float) and value is not False and value != "" else ""


def write() -> str:
    """The page in Markdown."""
    overview, blocks = [], []
    for command in app.registered_commands:
        function: Any = command.callback
        name = command.name or function.__name__
        first, *others = re.split(r"\n\s*\n", inspect.cleandoc(function.__doc__))
        parameters = _parameters(function)
        overview.append((f"[{name}](#mediaserver-{name})", prose(first)))
        blocks += [f"## mediaserver {name}", _usage(name, parameters), prose(first), *map(prose, others)]
        blocks += [_arguments(parameters), _options(parameters), _examples(command.epilog or "")]
    return page("Commands", "the commands themselves", _ABOUT, table(("command", ""), overview), *blocks)


def _parameters(function: Any) -> list[Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return [
        Parameter(name, hints[name].__origin__, hints[name].__metadata__[0], each.default)
        for name, each in inspect.signature(function).parameters.items()
    ]


def _choices(kind: Any) -> list[str]:
    """The values that a parameter's type allows, for a parameter without a placeholder."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(each.value) for each in kind]
    return [choice for each in get_args(kind) for choice in ([each] if isinstance(each, str) else _choices(each))]


def _usage(name: str, parameters: list[Parameter]) -> str:
    words = [each.value for each in parameters if not each.is_option]
    return f"```sh\nmediaserver {' '.join((name, '[OPTIONS]', *words))}\n```"


def _arguments(parameters: list[Parameter]) -> str:
    rows = [(code(each.value), each.text) for each in parameters if not each.is_option]
    return table(("argument", "what it is"), rows) if rows else ""


def _options(parameters: list[Parameter]) -> str:
    rows = [
        (", ".join(code(f"{name} {each.value}".strip()) for name in each.names), each.shown_default, each.text)
        for each in parameters
        if each.is_option
    ]
    return table(("option", "default", "what it is"), rows) if rows else ""


def _examples(epilog: str) -> str:
    found = re.findall(r"Example: (.*\S)", epilog)
    return "```sh\n" + "\n".join(found) + "\n```" if found else ""
