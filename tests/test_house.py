"""The order of the house: rooms of a size that one looks over, and modules that one reads in one go."""

import sys
from pathlib import Path

import pytest

from tests.project import ROOT

PACKAGE = ROOT / "mediaserver"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({module.parent for module in MODULES})
MOST_MODULES, MOST_LINES = 13, 300


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("room", ROOMS, ids=name)
def test_a_room_has_a_few_modules(room: Path) -> None:
    modules = [module.name for module in room.glob("*.py") if module.stem not in ("__init__", "__main__")]
    assert len(modules) <= MOST_MODULES, f"split {name(room)} by subject: {', '.join(sorted(modules))}"


def test_a_module_is_short() -> None:
    lengths = {name(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert {module: length for module, length in lengths.items() if length > MOST_LINES} == {}


def test_no_module_has_the_name_of_one_of_the_standard_library() -> None:
    shadows = {module.stem for module in MODULES} & set(sys.stdlib_module_names) - {"__init__", "__main__"}
    assert shadows == set()


def test_nothing_is_loose_at_the_top() -> None:
    assert {module.stem for module in MODULES if module.parent == PACKAGE} == {"__init__", "__main__", "errors"}
