"""`mediaserver serve`: runs the server."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from mediaserver import config
from mediaserver.cli import first_steps, options, terminal
from mediaserver.config.settings import Settings
from mediaserver.server import server
from mediaserver.server.reload import ConfigSource
from mediaserver.support import log


def serve(
    file: options.ConfigOption = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The address to listen on, in place of server.host.")
    ] = None,
    port: Annotated[int | None, options.port("The port that VoIPBIN dials, in place of server.port.")] = None,
    admin_port: Annotated[
        int | None, options.port("The port of health, metrics and the API, in place of admin.port.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Load your own handlers again when you edit them. Calls go on.")
    ] = False,
) -> None:
    """Run the server, until SIGTERM or Ctrl-C."""
    # The configuration file is found once, so that each reload reads this file, even if the file is gone by then.
    file = file or config.default_file()

    def load() -> tuple[Settings, list[str]]:
        settings, problems = config.load(file)
        return settings.override("server", host=host, port=port).override("admin", port=admin_port), problems

    with terminal.config_errors():
        settings, problems = load()
        log.configure(settings.log.level, settings.log.format)
        source = ConfigSource(str(file or "defaults"), load, file)
        with terminal.progress() as progress:

            def listening(running: server.Server) -> None:
                _show_first_steps(running, file)

            terminal.run(server.serve(settings, problems, source, progress, listening, follow_handlers=reload))


def _show_first_steps(running: server.Server, file: Path | None) -> None:
    """If the server was started on a terminal, show a command to try first, and the URL paths open to any peer."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):  # an OSError means that the terminal is gone by now
            for line in ("", *first_steps.lines(running.engine, running.port, file), ""):
                typer.echo(line, err=True)
