"""`make pictures`: draws all pictures of `docs/pictures` but those of the console and the dashboard."""

from pathlib import Path

import structlog

from scripts.pictures.diagrams import DIAGRAMS, svg
from scripts.pictures.draw import draw
from scripts.pictures.scenes import SCENES

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"


def main() -> None:
    """Write each picture, and print its file name and size."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        draw(scene(), FOLDER / f"{name}.svg")
    for name, diagram in DIAGRAMS.items():
        svg.write(diagram(), FOLDER / f"{name}.svg")
    for name in (*SCENES, *DIAGRAMS):
        print(f"docs/pictures/{name}.svg: {(FOLDER / f'{name}.svg').stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
