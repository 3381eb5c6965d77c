"""The pages of `docs/reference`, made from the code.

A module a page: each reads what there is (settings, events, metrics, commands, refusals, requests) from the
package, and writes Markdown. Nothing of it depends on the machine, on the terminal or on the version of Python, so
that a test can hold the committed pages against what would be made now.

    python -m scripts.reference            write docs/reference
    python -m scripts.reference --check    only tell which pages are out of date; 1 where any is
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
