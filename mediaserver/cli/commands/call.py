"""`mediaserver call`: acts as VoIPBIN's side of a media stream, to try any server."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mediaserver.cli import options, tables, terminal
from mediaserver.cli.meter import draw_meter
from mediaserver.cli.terminal import EXIT_WRONG_STREAM, err, out
from mediaserver.client import simulator
from mediaserver.client.measure import Report
from mediaserver.errors import MediaServerError, PromptError
from mediaserver.support import log
from mediaserver.support.credentials import redact_url, redact_urls
from mediaserver.wire.encapsulation import Encapsulation, Framing


def call(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="The ws:// or wss:// URL to dial, as it is; or tcp://host:port for AudioSocket."
        ),
    ],
    seconds: Annotated[
        float | None, typer.Option(metavar="N", min=0.1, help="Hang up after this many seconds.")
    ] = None,
    encapsulation: Annotated[
        Encapsulation | None,
        typer.Option(help="The encapsulation of both sides. Default: what the URL says, or what comes."),
    ] = None,
    framing: Annotated[Framing, typer.Option(help="The framing of audiosocket.")] = Framing.AUTO,
    send: options.SendOption = None,
    digits: options.DigitsOption = "",
    after: options.AfterOption = None,
    record: Annotated[
        Path | None, typer.Option(metavar="OUT.wav", help="Write what is heard into this WAV file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Call a media server as VoIPBIN does: listen, perhaps speak or press keys, and report.

    A file or keys to send wait until the far end has been quiet for a second after its greeting, or has said
    nothing for two seconds.

    With tcp://host:port, the call is that of Asterisk's AudioSocket: a random UUID first, then a frame every 20
    ms, of the file or of silence. The report's framing is then tcp. Its close code is 1000 where the server ended
    the call by a hang-up message (00 00 00), and 1006 where the connection ended otherwise.
    """
    plan = simulator.SimulatedCall(url, seconds, encapsulation, framing, send, digits, after, record)
    shown = redact_url(url)
    log.configure("error", "console")
    try:
        report = terminal.run(_simulate(plan, None if as_json else err, shown))
    except (MediaServerError, OSError, ValueError) as error:
        if as_json:
            told = redact_urls(str(error))
            typer.echo(json.dumps({"error": told, "status": getattr(error, "status", None)}))
        terminal.print_errors([str(error) if isinstance(error, PromptError) else f"{shown}: {error}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        tables.show_report(report, out)
    terminal.print_errors(report.problems)
    if report.problems:
        raise typer.Exit(EXIT_WRONG_STREAM)


async def _simulate(plan: simulator.SimulatedCall, console: Console | None, shown: str) -> Report:
    """Make one call, with a meter on the console under the name `shown`. Ctrl-C ends the call with a report."""
    with draw_meter(console, shown) as on_frame:
        return await simulator.simulate(plan, on_frame or (lambda pcm, at: None), terminal.hang_up_on_signals())
