"""The files that `mediaserver init` writes: config.example.toml as a configuration, and sample prompts."""

import os
from pathlib import Path
from typing import NamedTuple

import mediaserver
from mediaserver.playout.decoding.formats import EXTENSIONS

_SOURCES = {
    "config.toml": "config.example.toml",
    "prompts": "prompts",
}  # the names of the files and folders to write, each with the name of its shipped original


class Written(NamedTuple):
    """The files that `write` has written, and the files that it has kept as they were, each with the reason."""

    files: list[Path]
    kept: dict[Path, str]


def write(directory: Path, *, force: bool = False) -> Written:
    """Write the configuration and sample prompts into a folder, which is made if needed; OSError if that fails.

    An existing file is kept, unless `force` is set. A prompt that exists in another format is always kept, because
    of two files with one prompt's name only one is played.
    """
    written = Written([], {})
    for target, source in _files(directory):
        twins = [file for file in _same_prompt(target) if file != target]
        if twins:
            written.kept[target] = f"{twins[0].name} is the prompt of that name"
        elif os.path.lexists(target) and not force:
            written.kept[target] = "it is there already; --force writes it anew"
        else:
            _write(target, source.read_bytes())
            written.files.append(target)
    return written


def _files(directory: Path) -> list[tuple[Path, Path]]:
    """The files to write, each as its path and the path of its shipped original."""
    found = []
    for name, source in _SOURCES.items():
        origin = _shipped() / source
        files = [file for file in sorted(origin.rglob("*")) if file.is_file()] if origin.is_dir() else [origin]
        found += [(directory / name / file.relative_to(origin), file) for file in files]
    return found


def _shipped() -> Path:
    """The folder of the shipped originals: inside the installed package, or, in a clone, around the package."""
    package = Path(mediaserver.__file__).parent
    installed = package / "_samples"
    return installed if installed.is_dir() else package.parent


def _same_prompt(target: Path) -> list[Path]:
    """The existing sound files in the folder of `target` whose prompts have the same name as that of `target`."""
    if target.suffix not in EXTENSIONS or not target.parent.is_dir():
        return []
    return [file for file in target.parent.iterdir() if file.stem == target.stem and file.suffix in EXTENSIONS]


def _write(target: Path, content: bytes) -> None:
    """Write a file atomically, because a server may be watching the folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    except OSError as error:
        error.filename = str(target)  # the error names the file that the user knows, not the temporary file
        raise
    finally:
        unfinished.unlink(missing_ok=True)
