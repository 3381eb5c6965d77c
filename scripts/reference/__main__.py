"""`make reference`: writes the pages of `docs/reference`, or tells which pages are out of date."""

import argparse
import sys
from pathlib import Path

from scripts.reference import PAGES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def main() -> int:
    """Write all pages, and return 0. With --check, write nothing, and return 1 if a page is out of date."""
    parser = argparse.ArgumentParser(prog="python -m scripts.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing: tell which pages are out of date")
    check = parser.parse_args().check
    FOLDER.mkdir(parents=True, exist_ok=True)
    stale = []
    for name, write in PAGES.items():
        file, text = FOLDER / name, write()
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            file.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name}: {'out of date: make reference' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
