"""Options that several commands share, parsers of option values, and the layout of all commands' help."""

import inspect
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

# The base of all errors of the command line, which typer does not export.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="MEDIASERVER_CONFIG",
        readable=False,  # why it cannot be read is told as any mistake of a configuration
        help="The configuration. Default: ./config.toml, if it exists.",
    ),
]
SendOption = Annotated[
    Path | None,
    typer.Option(
        metavar="IN.wav", help="Speak this sound file when the far end is quiet. The call goes on after it."
    ),
]
DigitsOption = Annotated[
    str,
    typer.Option(
        metavar="KEYS",
        callback=lambda text: keys(text),
        help="Press these keys when the far end is quiet, before --send: 0-9 A-D * #. A comma is a pause of 2 s.",
    ),
]
AfterOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        help="Send keys and file this long after the answer, even if the far end speaks.",
    ),
]


class _PlainHelp:
    """Changes a command's help: `URL` where typer shows `{URL}`, and no type for flags, which take no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters of the command, including typer's own. Flags lose the type that their help would show."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in found:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return found

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command line. Error messages lose the prefixes that pydantic adds.

        A configuration that is given without --config is told of.
        """
        try:
            parsed: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except _UsageError as error:
            error.message = re.sub(r"^(Value error, |Input (?=should ))", "", error.message)
            surplus = re.fullmatch(r"Got unexpected extra argument.*\((\S+\.toml)\)", error.message)
            if surplus is not None and any("--config" in parameter.opts for parameter in self.get_params(ctx)):
                error.message = f"a configuration is given by --config {surplus[1]}"
            raise
        return parsed

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line in a command's help, without typer's braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]  # type: ignore[misc]


class Command(_PlainHelp, TyperCommand):
    """A command whose help has paragraphs as wide as the terminal, and shows tables of the configuration.

    typer takes `[flows]` for markup and would leave it out, so brackets are escaped.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.help = escape(re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(self.help or "")))
        for parameter in self.params:
            if help_text := getattr(parameter, "help", None):
                parameter.help = escape(help_text)  # type: ignore[attr-defined]


class Group(_PlainHelp, TyperGroup):
    """The program with all its commands. Its own help has no braces and no types of flags either."""


class Kind(StrEnum):
    """The kinds of resources at VoIPBIN that have a media stream."""

    CALL = "call"
    CONFERENCE = "conference"


def port(text: str) -> Any:
    """An option whose value is a port number. `text` is its help."""
    return typer.Option(metavar="PORT", min=0, max=65535, help=text)


def keys(text: str) -> str:
    """Parse DTMF keys and commas (pauses) into upper case; BadParameter if a character is neither."""
    wrong = re.search(r"[^0-9A-Da-d*#,]", text)
    if wrong is not None:
        raise typer.BadParameter(f"{wrong[0]} is no key: 0-9, A-D, * and #, and a comma for a pause")
    return text.upper()


def seconds(text: str) -> int:
    """Parse a time such as 90s, 15m, 1h or 7d into seconds; BadParameter if the text is no time."""
    found = re.fullmatch(r"([1-9]\d{0,8})([smhd]?)", text)
    if found is None:
        raise typer.BadParameter(f"{text} should be a time such as 90s, 15m, 1h or 7d", param_hint="--ttl")
    return int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def variable(text: str) -> tuple[str, str]:
    """Split the text NAME=VALUE into the name and the value; BadParameter if it has no =."""
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text} should be NAME=VALUE", param_hint="--variable")
    return name, value
