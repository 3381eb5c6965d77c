"""What all commands share: the event loop, errors and progress on the terminal, and exit codes."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TypeVar

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mediaserver import config
from mediaserver.errors import ConfigError, RefusalReason, RefusedError, escape_unprintable
from mediaserver.support.credentials import redact_urls

EXIT_WRONG_STREAM, EXIT_BAD_CONFIG = 1, 2

out, err = Console(), Console(stderr=True)

T = TypeVar("T")


def run(work: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end, on an event loop of uvloop, and return its result."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def hang_up_on_signals() -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set from now on."""
    hang_up = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, hang_up.set)
    return hang_up


def name_of(file: Path | None) -> str:
    """The name of the configuration in messages: the path of its file, or "defaults" without a file."""
    return str(file or config.default_file() or "defaults")


def explain(error: Exception, file: Path | None) -> str:
    """The message of an error for the operator. Where a path is unknown, it says which file has no such path."""
    if not isinstance(error, RefusedError) or error.reason is not RefusalReason.UNKNOWN_PATH:
        return str(error)
    known = file or config.default_file()
    if known is None:
        return f"{error}: there is no config.toml here, and no --config, so the paths are the built-in ones"
    return f"{known}: {error}"


@contextlib.contextmanager
def config_errors(as_json: bool = False) -> Iterator[None]:
    """Print all mistakes that a ConfigError lists, and exit with code 2. `as_json` also prints them as JSON."""
    try:
        yield
    except ConfigError as error:
        if as_json:
            typer.echo(json.dumps({"problems": error.problems}, indent=2))
        print_errors(error.problems)
        raise typer.Exit(EXIT_BAD_CONFIG) from error


def print_errors(problems: list[str]) -> None:
    """Print lines in red on standard error, with control characters escaped and URLs redacted."""
    for problem in problems:
        typer.secho(escape_unprintable(redact_urls(problem)), fg=typer.colors.RED, err=True)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar while prompts are decoded, if standard error is a terminal.

    Yields a function that is called with the numbers of prompts decoded so far and in all. The bar disappears at
    the end.
    """
    if not err.is_terminal:  # the library rich (14.0) ends even a disabled bar with an empty line
        yield lambda done, total: None
        return
    columns = TextColumn("decoding prompts"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done == total:
                bar.stop()

        yield show
