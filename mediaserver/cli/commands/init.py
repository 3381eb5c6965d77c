"""`mediaserver init`: writes a configuration and sample prompts to begin with."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mediaserver import config
from mediaserver.cli import samples, terminal
from mediaserver.cli.terminal import EXIT_WRONG_STREAM
from mediaserver.errors import error_text


def init(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The folder to write into. Default: the working directory.", show_default=False
        ),
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist already.")] = False,
) -> None:
    """Write a config.toml that explains each setting, and sample prompts, to begin with.

    Files that exist already are kept, unless --force is given.
    """
    try:
        written = samples.write(directory, force=force)
    except OSError as error:
        terminal.print_errors([f"{error.filename or directory}: cannot be written: {error_text(error)}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    for file in written.files:
        typer.echo(f"wrote {file}")
    for file, why in written.kept.items():
        typer.echo(f"kept {file}: {why}")
    config_file = shlex.quote(str(directory / config.DEFAULT_FILE))
    typer.echo(
        "next: mediaserver serve" + (f" --config {config_file}" if directory.resolve() != Path.cwd() else "")
    )
