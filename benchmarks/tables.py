"""Tables of results: medians of rounds, on a terminal and in Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

Rows = list[list[str]]


def medians(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure, over all rounds."""
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


@dataclass(frozen=True)
class Results:
    """A table: its first column is text, the others are figures."""

    title: str
    headings: Sequence[str]
    rows: Rows
    notes: Sequence[str] = ()

    def on_terminal(self) -> Table:
        """For rich."""
        caption = "\n".join(self.notes) or None
        table = Table(title=self.title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), caption=caption)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def as_markdown(self) -> str:
        """With its title above and its notes below."""
        ruler = ["---", *["--:"] * (len(self.headings) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (self.headings, ruler, *self.rows)]
        return "\n\n".join([f"**{self.title}**", "\n".join(lines), *self.notes])


def pages_with(name: str, root: Path) -> list[Path]:
    """The pages of the docs, the README first, that have a section of that name; ValueError where none has."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    found = [page for page in pages if f"<!-- {name} -->" in page.read_text(encoding="utf-8")]
    if not found:
        raise ValueError(f"no page of {root} has a section <!-- {name} -->")
    return found


def write_section(file: Path, name: str, text: str) -> None:
    """Put text between `<!-- name -->` and `<!-- /name -->` of a Markdown file; ValueError without these."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = file.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{file}: there is no section {begin} … {end}")
    file.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")
