"""`mediaserver sign`: signs a link, which lets its bearer dial one URL path for a limited time."""

import time
from typing import Annotated

import typer

from mediaserver import config
from mediaserver.cli import options, terminal
from mediaserver.cli.terminal import EXIT_WRONG_STREAM
from mediaserver.errors import ConfigError, MediaServerError
from mediaserver.routing.configuration import Configuration
from mediaserver.support import log
from mediaserver.support.credentials import redact_url, strip_userinfo


def sign(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="The URL of a path that has tokens: ws://, wss://, http:// or https://."
        ),
    ],
    ttl: Annotated[str, typer.Option(metavar="TIME", help="How long the link is valid: 90s, 15m, 1h, 7d.")] = "1h",
    file: options.ConfigOption = None,
) -> None:
    """Print a signed link, which opens one path for a limited time and can stand in a flow, as it has no token."""
    with terminal.config_errors():
        settings, problems = config.load(file)
        log.configure("error", settings.log.format)
        configuration = Configuration.build(settings, terminal.name_of(file), problems)
        if configuration.problems:
            raise ConfigError(configuration.problems)
    try:
        query = terminal.run(configuration.sign(url, int(time.time()) + options.seconds(ttl)))
    except (MediaServerError, ValueError) as error:
        terminal.print_errors([f"{redact_url(url)}: {terminal.explain(error, file)}"])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    typer.echo(f"{strip_userinfo(url)}{'&' if '?' in url else '?'}{query}")
