"""`mediaserver check`: loads the configuration and every prompt, and shows all mistakes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mediaserver import config
from mediaserver.cli import options, report_page, tables, terminal
from mediaserver.cli.findings import collect_findings
from mediaserver.cli.terminal import EXIT_BAD_CONFIG, err, out
from mediaserver.support import log


def check(
    file: options.ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    listen: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each prompt as callers hear it into this folder, as WAV."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a web page with each prompt's figures, warnings and waveform."),
    ] = None,
) -> None:
    """Load the configuration and every prompt as serve would, and report all mistakes.

    Shows the paths, where the keys of menus lead, and the measurements of each prompt. The exit code is 2 if
    anything is wrong.
    """
    with terminal.config_errors(as_json):
        settings, problems = config.load(file)
        log.configure("error", settings.log.format)
        with terminal.progress() as progress:
            where = terminal.name_of(file)
            findings = terminal.run(collect_findings(settings, where, problems, progress, listen))
        if html is not None:
            report_page.write_page(html, findings, where)
    if as_json:
        typer.echo(json.dumps(findings.as_json(), indent=2, default=str))
    else:
        tables.show_findings(findings, out, err)
    if not findings.all_is_well:
        raise typer.Exit(EXIT_BAD_CONFIG)
