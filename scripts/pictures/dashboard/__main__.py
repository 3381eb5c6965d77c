"""`make dashboard`: draws docs/pictures/dashboard.svg, with the data of servers under load."""

import argparse
import asyncio
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.pictures.dashboard.load import Load
from scripts.pictures.dashboard.panels import ask_all, fill, read_dashboard
from scripts.pictures.dashboard.prometheus import SCRAPE, Series, find_prometheus, scraping
from scripts.pictures.dashboard.stage import set_up
from scripts.pictures.dashboard.svg import draw

FILE = Path(__file__).parents[3] / "docs" / "pictures" / "dashboard.svg"
SECONDS = 420.0  # how long the run takes; shorter ones have a coarser picture
_WARM_UP = 5 * SCRAPE  # seconds until Prometheus has rates

Answers = dict[str, list[Series]]


async def run(seconds: float) -> Answers:
    """Put two servers under load for so many seconds, and ask Prometheus for what the dashboard shows."""
    with TemporaryDirectory(prefix="dashboard-") as name:
        async with set_up(Path(name)) as stage:
            addresses = {name: server.admin for name, server in stage.servers.items()}
            async with scraping(Path(name), addresses) as prometheus:
                began = time.time()
                await Load(stage, seconds).run()
                answers = await ask_all(prometheus, began + _WARM_UP, time.time())
                for alert, at in sorted((await prometheus.firing()).items(), key=lambda item: item[1]):
                    print(f"{at - began:4.0f} s: {alert} fires")
    return answers


def main() -> None:
    """Run, or read the data of an earlier run, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the servers are under load")
    parser.add_argument("--keep", type=Path, help="a file for the data of the run")
    parser.add_argument("--redraw", type=Path, help="the data of an earlier run, which is drawn again")
    arguments = parser.parse_args()
    if arguments.redraw is not None:
        answers = _read(arguments.redraw)
    else:
        find_prometheus()
        answers = asyncio.run(run(arguments.seconds))
    if arguments.keep is not None:
        arguments.keep.write_text(json.dumps(answers))
    draw(fill(read_dashboard(), answers), FILE)
    print(f"docs/pictures/{FILE.name}: {FILE.stat().st_size / 1000:.0f} KB")


def _read(file: Path) -> Answers:
    return {
        expression: [
            Series(labels, {float(at): value for at, value in values.items()}) for labels, values in found
        ]
        for expression, found in json.loads(file.read_text()).items()
    }


if __name__ == "__main__":
    main()
