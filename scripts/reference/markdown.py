"""Makes Markdown that GitHub and the docs site render alike."""

import re
from collections.abc import Iterable, Sequence

_HEAD = "<!-- Made by `make reference` from {source}. Changes here are overwritten. -->"


def page(title: str, source: str, *blocks: str) -> str:
    """A whole page. `source` names the code from which the page is made."""
    return "\n\n".join((_HEAD.format(source=source), f"# {title}", *filter(None, blocks))) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, whose headings and cells are Markdown as well."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """A text as inline code, even if it contains backticks."""
    text = str(text)
    if "`" not in text:
        return f"`{text}`"
    return f"`` {text} ``"


def prose(text: str) -> str:
    """A plain text as Markdown: characters of markup are escaped, except for text between backticks."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([*<>])", r"\\\1", part) for part in parts)


def sentence(text: str) -> str:
    """A text as a sentence, with a capital letter and a full stop."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".:!?)" else ".")
