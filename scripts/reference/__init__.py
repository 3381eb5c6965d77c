"""Generates the pages of `docs/reference` from the code.

Each page has a module, which reads settings, events, metrics, commands, refusals or requests from the package, and
writes Markdown. The pages do not depend on the machine, the terminal or the version of Python, so that a test can
compare the committed pages with pages that are generated anew.

    python -m scripts.reference            write docs/reference
    python -m scripts.reference --check    only tell which pages are out of date; exit code 1 if any is
"""

from collections.abc import Callable

from scripts.reference import admin_api, commands, events, metrics, refusals, settings

PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings.write,
    "events.md": events.write,
    "metrics.md": metrics.write,
    "commands.md": commands.write,
    "refusals.md": refusals.write,
    "admin-api.md": admin_api.write,
}
