"""Finds prompts without a variant in a language that other prompts have, for `mediaserver check`."""

import contextlib
from collections.abc import Iterable, Iterator

from mediaserver.errors import PromptError
from mediaserver.playout.prompts import languages
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing.filling import VARIABLE
from mediaserver.routing.route import Route


def missing_variants(routes: Iterable[Route], snapshot: PromptSnapshot) -> Iterator[str]:
    """Yield a sentence for each language in which some of the prompts that routes play have no variant.

    Languages in which none of these prompts has a variant are left out. So are languages that have no two-letter
    code, unless a route has the language. Names of prompts with a `{variable}` do not count.
    """
    played, used = _played(routes, snapshot)
    variants = snapshot.language_variants
    found = sorted({tag for tag, base in variants if base in played and (languages.is_known(tag) or tag in used)})
    own = {name for (tag, base), name in variants.items() if tag in found and base in played}
    for tag in found:
        missing = [name for name in sorted(played - own) if languages.find_variant(variants, name, tag) is None]
        if missing:
            yield f'no "{tag}" variant of {", ".join(missing)}: callers of this language hear them as they are'


def _played(routes: Iterable[Route], snapshot: PromptSnapshot) -> tuple[set[str], set[str]]:
    """The names of the prompts that routes play, and the tags (in lower case) of the languages of the routes."""
    played: set[str] = set()
    used: set[str] = set()
    for route in routes:
        with route.known_handler() as handler:
            used.update(languages.lookup_tags(handler.prompt_language))
            for name in handler.needed_prompts:
                if not VARIABLE.search(name):
                    with contextlib.suppress(PromptError):  # `check` reports missing prompts elsewhere
                        played.update(snapshot.match_names(name) if handler.globs else [name])
    return played, used
