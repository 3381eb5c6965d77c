"""The docs site: `make docs` has Sphinx make it in `site/`.

Its pages are the Markdown files as they stand in the repository, the README in front, so that the same relative
links lead from page to page here and on GitHub. A link to a file that is no page, such as an example, downloads
it. Warnings are errors, a link that leads nowhere among them. No page asks another server for anything.
"""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "mediaserver"
html_title = "mediaserver"
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

extensions = ["myst_parser"]
myst_heading_anchors = 4  # as GitHub has them
root_doc = "README"
include_patterns = ["*.md", "benchmarks/README.md", "docs/**"]
_OTHERS = [each.name for each in ROOT.iterdir() if each.is_dir() and each.name not in ("benchmarks", "docs")]
exclude_patterns = [*_OTHERS, "docs/conf.py"]  # folders that are not to be looked through
suppress_warnings = ["misc.highlighting_failure"]  # JSON with an ellipsis in it

# The parts of the table of contents, by who reads them, each with the pages that are there.
PARTS = {
    "For flow builders": ["docs/flow-builders/*"],
    "For operators": ["docs/operators/*"],
    "For developers": ["docs/developers/*", "CONTRIBUTING"],
    "Topics": ["docs/topics/*", "docs/*"],
    "Reference": ["docs/reference/*"],
    "The project": ["benchmarks/README", "CHANGELOG", "SECURITY"],
}


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_contents)
    app.connect("doctree-read", _leave_folders)
    app.connect("build-finished", _add_index)


def _add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the table of contents, which the sidebar shows, behind the README."""
    if page == root_doc:
        source[0] += "".join(_contents(caption, pages) for caption, pages in PARTS.items())


def _contents(caption: str, pages: list[str]) -> str:
    there = [each for each in pages if any(ROOT.glob(f"{each}.md"))]
    lines = ["```{toctree}", ":hidden:", ":glob:", f":caption: {caption}", "", *there, "```"]
    return "\n\n" + "\n".join(lines) if there else ""


def _leave_folders(app: Sphinx, page: nodes.document) -> None:
    """Show a link to a folder of the repository as text: there is no page of it."""
    for link in list(page.findall(addnodes.pending_xref)):
        if (ROOT / link["refdoc"]).parent.joinpath(link["reftarget"]).is_dir():
            link.replace_self(link.children)


def _add_index(app: Sphinx, failure: Exception | None) -> None:
    """Have the site's address show the README."""
    if failure is None:
        readme = Path(app.outdir, f"{root_doc}.html")
        Path(app.outdir, "index.html").write_bytes(readme.read_bytes())
