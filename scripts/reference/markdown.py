"""Markdown that GitHub and the docs site read alike."""

import re
from collections.abc import Iterable, Sequence

_HEAD = "<!-- Made by `make reference` from {source}. Changes here are overwritten. -->"


def page(title: str, source: str, *blocks: str) -> str:
    """A whole page. `source` says what it is made from."""
    return "\n\n".join((_HEAD.format(source=source), f"# {title}", *filter(None, blocks))) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Text as code, also where it has backticks in it."""
    text = str(text)
    if "`" not in text:
        return f"`{text}`"
    return f"`` {text} ``"


def prose(text: str) -> str:
    """Plain text as Markdown: what would be markup is escaped, but for what stands between backticks."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([*<>])", r"\\\1", part) for part in parts)


def sentence(text: str) -> str:
    """A note as a sentence: a capital letter, and a full stop."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".:!?)" else ".")
