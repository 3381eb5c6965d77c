"""What `mediaserver init` writes: the reference of all settings as a configuration, and the sample prompts."""

import os
from pathlib import Path
from typing import NamedTuple

import mediaserver
from mediaserver.playout.decoding.formats import EXTENSIONS

_SOURCES = {"config.toml": "config.example.toml", "prompts": "prompts"}  # what is written, of what is shipped


class Written(NamedTuple):
    """The files that were written, and those that were not, each with the reason."""

    files: list[Path]
    kept: dict[Path, str]


def write(directory: Path, *, force: bool = False) -> Written:
    """Write what there is to begin with into a folder, which is made. OSError where that cannot be.

    A file that is there stays as it is, but with `force`. A prompt of the same name in another format always does:
    with two of them, there would be none.
    """
    written = Written([], {})
    for target, source in _files(directory):
        twins = [file for file in _of_the_same_name(target) if file != target]
        if twins:
            written.kept[target] = f"{twins[0].name} is the prompt of that name"
        elif os.path.lexists(target) and not force:
            written.kept[target] = "it is there already; --force writes it anew"
        else:
            _write(target, source.read_bytes())
            written.files.append(target)
    return written


def _files(directory: Path) -> list[tuple[Path, Path]]:
    """What is to be written, and what it is a copy of."""
    found = []
    for name, source in _SOURCES.items():
        origin = _shipped() / source
        files = [file for file in sorted(origin.rglob("*")) if file.is_file()] if origin.is_dir() else [origin]
        found += [(directory / name / file.relative_to(origin), file) for file in files]
    return found


def _shipped() -> Path:
    """The folder of what is shipped: in the installed package, or, in a clone, around it."""
    package = Path(mediaserver.__file__).parent
    installed = package / "_samples"
    return installed if installed.is_dir() else package.parent


def _of_the_same_name(target: Path) -> list[Path]:
    """The sound files that would be the same prompt."""
    if target.suffix not in EXTENSIONS or not target.parent.is_dir():
        return []
    return [file for file in target.parent.iterdir() if file.stem == target.stem and file.suffix in EXTENSIONS]


def _write(target: Path, content: bytes) -> None:
    """All of it or nothing, in the place of what is there: a server may be watching."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    except OSError as error:
        error.filename = str(target)  # what the user knows of
        raise
    finally:
        unfinished.unlink(missing_ok=True)
