"""`mediaserver attach`: dials a call's or conference's media stream at VoIPBIN, and runs a URL path's handler."""

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import ValidationError

from mediaserver import config
from mediaserver.call import End
from mediaserver.cli import options, terminal
from mediaserver.cli.meter import draw_meter
from mediaserver.cli.terminal import EXIT_WRONG_STREAM, err
from mediaserver.client import attach as attaching
from mediaserver.client.attach import AttachRequest
from mediaserver.config import error_messages
from mediaserver.config.settings import Settings
from mediaserver.errors import RefusedError
from mediaserver.playout.prompts.library import Progress
from mediaserver.support import log
from mediaserver.wire.encapsulation import Encapsulation


def attach(
    kind: Annotated[
        options.Kind, typer.Argument(metavar="call|conference", help="Whether ID is a call or a conference.")
    ],
    subject: Annotated[str, typer.Argument(metavar="ID", help="The id of the call or conference at VoIPBIN.")],
    path: Annotated[str, typer.Option(metavar="/PATH", help="The path that serves the stream.")],
    encapsulation: Annotated[
        Encapsulation | None, typer.Option(help="The wire format. Default: that of the path.")
    ] = None,
    variable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the stream, in place of one of the path. Repeatable."
        ),
    ] = None,
    file: options.ConfigOption = None,
) -> None:
    """Dial the media stream of a call or conference at VoIPBIN, and run a path's handler on it."""
    variables = dict(options.variable(text) for text in variable or ())
    try:
        request = AttachRequest(
            resource=f"{kind}s/{subject}", path=path, variables=variables, encapsulation=encapsulation
        )
    except ValidationError as error:
        terminal.print_errors(error_messages.error_lines("attach", error, AttachRequest))
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    with terminal.config_errors():
        settings, problems = config.load(file)
        log.configure(settings.log.level, settings.log.format)
        with terminal.progress() as progress:
            try:
                end = terminal.run(_attach(settings, terminal.name_of(file), problems, request, progress))
            except RefusedError as error:
                terminal.print_errors([terminal.explain(error, file)])
                raise typer.Exit(EXIT_WRONG_STREAM) from error
    terminal.print_errors([end.text] if end.text else [])
    if not end.normal:
        raise typer.Exit(EXIT_WRONG_STREAM)


async def _attach(
    settings: Settings, where: str, problems: Sequence[str], request: AttachRequest, progress: Progress
) -> End:
    """Run one stream to its end, with a meter on the terminal.

    ConfigError if the configuration is invalid, RefusedError if it has no such path, or refuses the stream.
    """
    with draw_meter(err, request.resource) as on_frame:
        hang_up = terminal.hang_up_on_signals()
        return await attaching.attach(settings, where, problems, request, progress, hang_up, on_frame)
