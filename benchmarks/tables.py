"""Tables of results: medians of rounds, on a terminal and in Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

Rows = list[list[str]]


def medians(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure over the results of all rounds."""
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


@dataclass(frozen=True)
class Results:
    """A table of results. Its first column is text, and all further columns are figures."""

    title: str
    headings: Sequence[str]
    rows: Rows
    notes: Sequence[str] = ()

    def on_terminal(self) -> Table:
        """The table for rich to print."""
        caption = "\n".join(self.notes) or None
        table = Table(title=self.title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), caption=caption)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def as_markdown(self) -> str:
        """The table in Markdown, with its title above and its notes below."""
        ruler = ["---", *["--:"] * (len(self.headings) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (self.headings, ruler, *self.rows)]
        return "\n\n".join([f"**{self.title}**", "\n".join(lines), *self.notes])


def read_table(text: str, title: str) -> Results:
    """Read the table whose title begins with `title` from Markdown, without its notes. ValueError without one."""
    _, found, rest = text.partition(f"**{title}")
    more, _, body = rest.partition("**\n\n")
    if not found:
        raise ValueError(f"there is no table {title}")
    lines = body.partition("\n\n")[0].splitlines()
    headings, _, *rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines)
    return Results(title + more, headings, rows)


def pages_with(name: str, root: Path) -> list[Path]:
    """The pages of the docs, the README first, that have a section called `name`. ValueError if no page has it."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    found = [page for page in pages if f"<!-- {name} -->" in page.read_text(encoding="utf-8")]
    if not found:
        raise ValueError(f"no page of {root} has a section <!-- {name} -->")
    return found


def read_section(file: Path, name: str) -> str:
    """The text between `<!-- name -->` and `<!-- /name -->` of a Markdown file; ValueError without these."""
    return _around(file, name)[1].strip()


def write_section(file: Path, name: str, text: str) -> None:
    """Put text between `<!-- name -->` and `<!-- /name -->` of a Markdown file; ValueError without these."""
    before, _, after = _around(file, name)
    file.write_text(f"{before}\n{text.strip()}\n{after}", encoding="utf-8")


def _around(file: Path, name: str) -> tuple[str, str, str]:
    """The text of a file in three parts: up to a section, within the section, and after it."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = file.read_text(encoding="utf-8").partition(begin)
    text, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{file}: there is no section {begin} … {end}")
    return before + begin, text, end + after
