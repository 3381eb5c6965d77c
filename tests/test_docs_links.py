"""The documentation leads where it says, is found from the README, and the README stays short."""

from pathlib import Path

import pytest

from tests.pages import DOCS, PAGES, README, ROOT, anchors, links, page

README_BYTES = 8192
# What a newcomer looks for first, by the page that answers it.
WANTED = {
    "how to drop a prompt": "docs/flow-builders/prompts.md",
    "why a call gets 503": "docs/operators/troubleshooting.md",
    "how to write a handler": "docs/developers/handlers.md",
    "how to deploy to Kubernetes": "docs/operators/kubernetes.md",
}


def linked(path: str) -> set[str]:
    """The pages and files that a page links to, relative to the repository."""
    files = (link.partition("#")[0] for link in links(path))
    found = ((ROOT / path).parent / file for file in files if file)
    return {str(file.resolve().relative_to(ROOT.resolve())) for file in found}


@pytest.mark.parametrize("path", [*PAGES, "benchmarks/README.md"])
def test_links_lead_somewhere(path: str) -> None:
    for link in links(path):
        file, _, anchor = link.partition("#")
        target = ((ROOT / path).parent / file).resolve() if file else ROOT / path
        assert target.exists(), link
        assert not anchor or anchor in anchors(str(target.relative_to(ROOT.resolve()))), link


@pytest.mark.parametrize("path", DOCS)
def test_headings_of_a_page_have_anchors_of_their_own(path: str) -> None:
    found = anchors(path)
    assert len(found) == len(set(found))


def test_every_page_is_two_clicks_from_the_readme() -> None:
    one = linked(README)
    two = one.union(*(linked(path) for path in one if Path(path).suffix == ".md"))
    assert not set(PAGES) - {README} - two


@pytest.mark.parametrize("question", WANTED)
def test_the_readme_itself_links_to_what_newcomers_look_for(question: str) -> None:
    assert WANTED[question] in linked(README)


def test_the_index_has_every_page() -> None:
    assert not set(DOCS) - {"docs/index.md"} - linked("docs/index.md")


def test_the_readme_is_short() -> None:
    assert len(page(README).encode()) <= README_BYTES


def test_the_readme_names_both_commands() -> None:
    assert "make run" in page(README)
    assert "make test" in page(README)
