"""The console script, and its table of commands.

Exit codes: 0 for success; 1 for a failed stream, or a file that cannot be written; 2 for a wrong configuration or
command line.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from mediaserver import __version__
from mediaserver.cli import options
from mediaserver.cli.commands.attach import attach
from mediaserver.cli.commands.call import call
from mediaserver.cli.commands.check import check
from mediaserver.cli.commands.flow import flow
from mediaserver.cli.commands.init import init
from mediaserver.cli.commands.say import say
from mediaserver.cli.commands.serve import serve
from mediaserver.cli.commands.sign import sign
from mediaserver.cli.commands.simulate import simulate

# The function of each command, with the examples at the end of the command's help.
_COMMANDS: dict[Callable[..., None], tuple[str, ...]] = {
    serve: ("serve --config config.toml --port 8080",),
    init: ("init", "init my-server"),
    check: ("check --config config.toml",),
    call: (
        "call ws://127.0.0.1:8080/audio-stream --record heard.wav",
        'call ws://127.0.0.1:8080/menu --digits "1,,4711#"',
    ),
    simulate: (
        "simulate flow.json --record heard.wav",
        'simulate --fetch http://127.0.0.1:8082/flow/SECRET/menu --digits "1,,4711#"',
    ),
    flow: (
        "flow /menu --server wss://media.example.com",
        'flow /menu --create --name "Main menu"',
    ),
    attach: ("attach call 652af662-eb45-11ee-b1a5-6fde165f9226 --path /record",),
    say: ('say "Thank you for calling." --rate 0.9 -o prompts/thanks.wav',),
    sign: ("sign 'wss://media.example.com/play/welcome?repeat=2' --ttl 1h",),
}

app = typer.Typer(
    name="mediaserver",
    help="A media server for calls of VoIPBIN: it plays prompts, and hears callers.",
    cls=options.Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
]


def main() -> None:
    """Entry point of the console script: run the command that the command line names."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # so that users' handlers in the working directory can be imported
    app()


@app.callback()
def _options(
    version: VersionOption = False,
) -> None:
    pass


def _add_commands() -> None:
    for command, examples in _COMMANDS.items():
        lines = [f"Example: mediaserver {example}" for example in examples]
        app.command(cls=options.Command, epilog="\n\n".join(lines))(command)


_add_commands()
