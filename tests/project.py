"""Where the project is: its documents, its configuration, its prompts; and what this machine may lack for it."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent


def without_missing_engine(problems: Iterable[str]) -> list[str]:
    """Problems but that of pocketsphinx, where it is not installed: for Python 3.14 there is no wheel of it."""
    missing = find_spec("pocketsphinx") is None
    return [problem for problem in problems if not (missing and "pocketsphinx is not installed" in problem)]
