"""Collects what `mediaserver check` reports: loads a configuration and all its prompts, but serves no calls."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mediaserver.cli import language_findings, listening, prompt_findings
from mediaserver.config.settings import Settings
from mediaserver.handlers.menu.transitions import Transition, list_transitions
from mediaserver.playout.prompts import report
from mediaserver.playout.prompts.library import Progress
from mediaserver.routing import folders, spoken_queries
from mediaserver.routing.configuration import Configuration
from mediaserver.routing.patterns import MAX_SLOW_PATH, foreign_variables
from mediaserver.runtime.disk_caches import open_library
from mediaserver.runtime.prompt_monitor import NO_PROMPTS
from mediaserver.server.http import tls
from mediaserver.support.credentials import redact_url


@dataclass(frozen=True, slots=True)
class Findings:
    """The report of `mediaserver check`. Its attributes, but for `waveforms`, are the keys of `check --json`.

    Some attributes are lists with a line for each finding. `problems` are mistakes that stop `serve`. `left_out`
    are files that `serve` cannot play, and goes on without. `unwritable` are folders that `serve` cannot write
    into. `warnings` are prompts that URL paths of the default configuration lack; `paths` leaves out such URL
    paths. `notes` are no mistakes, but worth a look.

    `menus` has the menus of each URL path that has any, without invalid parts. `open_paths` are the URL paths that
    any peer may dial if it reaches the port. An entry of `paths` lists the AudioSocket ports that the URL path
    answers on, each with the URL set for the port. `waveforms` has the waveform of each prompt, by the prompt's
    name.
    """

    paths: list[dict[str, Any]]
    menus: dict[str, list[Transition]]
    prompts: list[dict[str, Any]]
    ignored: list[str]
    problems: list[str]
    left_out: list[str]
    warnings: list[str]
    unwritable: list[str]
    open_paths: list[str]
    notes: list[str]
    waveforms: dict[str, Sequence[tuple[int, int]]]

    def as_json(self) -> dict[str, Any]:
        """The findings as `check --json` prints them, without the waveforms, which only `check --html` shows."""
        found = asdict(self)
        del found["waveforms"]
        return found

    @property
    def all_is_well(self) -> bool:
        """Whether the configuration has no mistakes. Warnings and notes are not mistakes."""
        return not (self.problems or self.left_out or self.unwritable)


async def collect_findings(
    settings: Settings, where: str, problems: Sequence[str], progress: Progress, listen: Path | None = None
) -> Findings:
    """Build the routes, decode every prompt, and check that the prompts of all routes exist.

    `where` names the configuration in messages. `problems` are the mistakes that were found in loading the
    settings. If `listen` is a folder, what callers hear of each prompt is written there; ConfigError if a file
    cannot be written.
    """
    configuration = Configuration.build(settings, where, [*problems, *tls.load(settings, where)[1]])
    if listen is not None:
        listening.validate_directory(listen, settings.prompts.directory)
    library = open_library(settings, make_store=False)
    try:
        await library.load((), progress)
        measured = await prompt_findings.measure_prompts(library)
        if listen is not None:
            await listening.write_prompts(listen, library, configuration.table)
    finally:
        await library.close()
    problems = [*configuration.problems, *configuration.missing_prompts(library)]
    left_out = [
        f"{library.directory / file}: {problem}"
        for file, problem in sorted(library.problems.items())
        if file != os.curdir  # "." is the prompt folder itself, which `missing_prompts` reports with its setting
    ]
    unwritable = await asyncio.to_thread(folders.unwritable_folders, configuration)
    unserved = configuration.paths_without_prompts(library)
    paths = [
        {
            "path": route.pattern,
            "handler": settings.paths[route.pattern].handler,
            "encapsulation": str(route.wire.encapsulation),
            "access": str(route.access),
            "audiosocket": {
                str(port.number): str(port.url) for port in configuration.ports.values() if port.route is route
            },
            "flow": settings.flows.fetch_url(route.pattern) if route.flow else "",
            "settings": _redacted(route.settings),
        }
        for route in configuration.table
        if route.pattern not in unserved
    ]
    steps = prompt_findings.loop_steps(configuration.table, library.snapshot, measured)
    prompts = [
        report.describe_prompt(
            prompt, measured.get(name), steps.get(name), levelled=settings.prompts.level is not None
        )
        for name, prompt in sorted(library.prompts.items())
    ]
    flows = {
        route.pattern: list_transitions(getattr(route.validated.table, "menus", None))
        for route in configuration.table
    }
    menus = {path: transitions for path, transitions in flows.items() if transitions}
    warnings = configuration.missing_default_prompts(library)
    open_paths = [path for path in configuration.table.open_paths if path not in unserved]
    notes = [f"there are no prompts in {library.directory.absolute()}: {NO_PROMPTS}"]
    notes = [] if library.prompts or library.folder_problem else notes
    notes += [
        f"{library.prompts[prompt['name']].path} {warning}" for prompt in prompts for warning in prompt["warnings"]
    ]
    notes += [
        f"{library.directory / file} is passed over: {better} has the same name, and is the better format"
        for file, better in library.passed_over(library.prompts).items()
    ]
    notes += [
        f'{settings.source(where, ("paths", route.pattern, "gain"))}: paths."{route.pattern}": gain: {limited}'
        for route in configuration.table
        for limited in prompt_findings.limited_gains(route, library.snapshot)
    ]
    notes += [
        f'{settings.source(where, ("paths", route.pattern, "background_level"))}: paths."{route.pattern}":'
        f" background_level: {limited}"
        for route in configuration.table
        for limited in prompt_findings.limited_backgrounds(route, library.snapshot, measured)
    ]
    notes += [
        f"{library.directory}: {missing}"
        for missing in language_findings.missing_variants(configuration.table, library.snapshot)
    ]
    notes += [f"{library.directory / folder} {why}" for folder, why in library.skipped.items()]
    notes += configuration.misspelt_events
    notes += [
        f'{settings.source(where, ("paths", path))}: paths."{path}": several of its variables may match the same'
        f" text, so that matching takes long: paths of more than {MAX_SLOW_PATH} characters are refused, on all"
        " paths; better let each match up to the next slash"
        for path in configuration.table.slow
    ]
    notes += [
        f'{settings.source(where, ("paths", route.pattern))}: paths."{route.pattern}": {segment} matches only'
        " itself: a variable is written {name}, and {name:.+} where it may have slashes"
        for route in configuration.table
        for segment in foreign_variables(route.pattern)
    ]
    notes += [
        f'{settings.source(where, ("paths", route.pattern))}: paths."{route.pattern}": {note}'
        for route, note in spoken_queries.open_text_notes(configuration.table)
    ]
    return Findings(
        paths,
        menus,
        prompts,
        library.ignored,
        problems,
        left_out,
        warnings,
        unwritable,
        open_paths,
        notes,
        {name: found.waveform for name, found in measured.items()},
    )


def _redacted(value: Any) -> Any:
    """A copy of settings whose URLs, at any depth, are redacted, because a URL may contain a password or token."""
    if isinstance(value, str) and "://" in value:
        return redact_url(value)
    if isinstance(value, dict):
        return {key: _redacted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    return value
