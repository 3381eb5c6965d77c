"""`make pictures`: draw all of them."""

from pathlib import Path

import structlog

from scripts.pictures.draw import draw
from scripts.pictures.scenes import SCENES

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"


def main() -> None:
    """Write each picture, and say so."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        file = FOLDER / f"{name}.svg"
        draw(scene(), file)
        print(f"docs/pictures/{file.name}: {file.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
