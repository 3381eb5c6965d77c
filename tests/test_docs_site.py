"""The docs site, as `make docs` makes it."""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import UNIT

ROOT = Path(__file__).parents[1]
PICTURE = re.compile(r"!\[([^]]*)\]\(([^)]+)\)")


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run Sphinx as the Makefile does, but for the folders that it writes."""
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "-m sphinx" in line)
    options = line.split("-m sphinx ")[1].replace("$(VENV)/doctrees", f"{site}-doctrees").split()
    assert options[-1] == "site"
    command = [sys.executable, "-m", "sphinx", *options[:-1], str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=280 * UNIT, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made without a warning."""
    place = tmp_path_factory.mktemp("site") / "html"
    done = build(ROOT, place)
    assert (done.returncode, done.stderr) == (0, "")
    return place


def test_every_page_is_there_and_the_readme_in_front(site: Path) -> None:
    pages = {page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html")}
    sources = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"]
    assert {source.relative_to(ROOT).with_suffix("").as_posix() for source in sources} <= pages
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()


def test_the_contents_are_in_parts_by_reader(site: Path) -> None:
    shown = re.findall(r'class="caption-text">([^<]+)<', (site / "index.html").read_text())
    assert {"For developers", "Reference", "The project"} <= set(shown)


def test_pictures_come_along_with_what_they_show_in_words(site: Path) -> None:
    for page in (ROOT / "README.md", ROOT / "benchmarks/README.md", *(ROOT / "docs").rglob("*.md")):
        shown = html.unescape((site / page.relative_to(ROOT)).with_suffix(".html").read_text())
        for words, picture in PICTURE.findall(page.read_text()):
            if "://" not in picture:
                assert (site / "_images" / Path(picture).name).is_file(), picture
                # MyST leaves out the ends of lines in these words, so they are to stand in one line.
                assert f'alt="{words}"' in shown, picture


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']([^"']+)|<link[^>]*\shref=["']([^"']+)""")
    for page in site.rglob("*.html"):
        for found in loads.findall(page.read_text()):
            assert "//" not in "".join(found), page
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\([\"']?(https?:)?//", style.read_text()), style


def test_links_that_lead_nowhere_and_pages_in_no_part_are_errors(tmp_path: Path) -> None:
    (tmp_path / "docs/odd").mkdir(parents=True)
    (tmp_path / "docs/topics").mkdir()
    (tmp_path / "prompts").mkdir()
    shutil.copy(ROOT / "docs/conf.py", tmp_path / "docs")
    (tmp_path / "README.md").write_text(
        "# House\n\n[gone](docs/gone.md) [no section](docs/topics/a.md#none) [folder](prompts)\n"
    )
    (tmp_path / "docs/topics/a.md").write_text("# A\n\n[back](../../README.md)\n")
    (tmp_path / "docs/odd/b.md").write_text("# B\n")
    done = build(tmp_path, tmp_path / "html")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(told) == 3, done.stderr
    assert "docs/gone.md" in done.stderr
    assert "none" in done.stderr
    assert "docs/odd/b.md" in done.stderr
