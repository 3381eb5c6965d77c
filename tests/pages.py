"""The documentation as text: its pages, and what is in them. Paths of pages are relative to the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = "README.md"
TOP = sorted(path.name for path in ROOT.glob("*.md"))
DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
PAGES = [*TOP, *DOCS]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def page(path: str) -> str:
    """The text of a page."""
    return (ROOT / path).read_text(encoding="utf-8")


def section(path: str, heading: str) -> str:
    """What stands in a page below a heading, such as "## Handlers", up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    plain = _FENCE.sub(
        lambda fence: fence[0].replace("\n#", "\n\0"), f"\n{page(path)}"
    )  # comments are no headings
    _, found, rest = plain.partition(f"\n{heading}\n")
    assert found, f"{path} has no {heading}"
    return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0].replace("\0", "#")


def blocks(text: str, language: str) -> list[str]:
    """The fenced code of one language."""
    return [code for _, named, code in _FENCE.findall(text) if named == language]


def spans(text: str) -> list[str]:
    """The code within lines."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def links(path: str) -> list[str]:
    """Where a page's links lead that are no URLs."""
    return [link for link in _LINK.findall(_FENCE.sub("", page(path))) if "://" not in link]


def anchors(path: str) -> list[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page(path)), re.MULTILINE)
    shown = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in shown]
