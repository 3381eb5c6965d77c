"""Modules of the user's own that handlers are in: imported, and imported anew once their files have changed.

Not by `importlib.reload`, which changes a module under the streams that run its code: those keep the old module,
and streams to come have a new one. With a handler's module goes all that it imports from the same folder.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

Signature = tuple[int, int, int] | None  # of a file: when it changed, its size, its inode
State = dict[Path, Signature]
_INSTALLED = {"site-packages", "dist-packages"}  # what is below these is not the user's to edit
_NEVER = {"mediaserver", "__main__", "sitecustomize", "usercustomize"}

_folders: set[Path] = set()  # where handlers' top-level modules and packages lie
_seen: State = {}  # the files of the modules in use, as they were when those were imported


def load(name: str) -> ModuleType:
    """Import a module of a handler; whatever it raises, but that it ends the program is an ImportError."""
    try:
        module = importlib.import_module(name)
    except SystemExit as error:
        raise ImportError(f"it ends the program, as by sys.exit({error.code!r})") from error
    top = sys.modules[name.partition(".")[0]]
    places = list(getattr(top, "__path__", ())) or [top.__file__ or ""]
    _folders.update(Path(place).absolute().parent for place in places if place)
    _folders.difference_update([folder for folder in _folders if not _INSTALLED.isdisjoint(folder.parts)])
    for file in _files(_modules().values()):
        if file not in _seen:
            _seen[file] = _look_at(file)
    return module


def folders() -> set[Path]:
    """The folders that the modules in use are imported from."""
    return set(_folders)


def imported() -> State:
    """The files of the modules in use as they were when those were imported."""
    return dict(_seen)


def state() -> State:
    """The same files as they are now."""
    return {file: _look_at(file) for file in list(_seen)}


@contextlib.contextmanager
def renewed() -> Iterator[list[str]]:
    """Have all be imported anew, if a file has changed; the modules whose files have.

    Where an exception comes of it, all is as it was before, and changed still.
    """
    before, now = imported(), state()
    if now == before:
        yield []
        return
    files = {file for file, signature in now.items() if signature != before[file]}
    old = _modules()
    _drop(old)
    _seen.clear()
    for file in files:  # what was compiled of it is told by whole seconds and its size, which may be the same
        with contextlib.suppress(OSError, NotImplementedError):
            os.unlink(importlib.util.cache_from_source(str(file)))  # noqa: PTH108
    importlib.invalidate_caches()
    try:
        yield sorted(name for name, module in old.items() if not files.isdisjoint(_files([module])))
    except BaseException:
        _drop(_modules())
        sys.modules.update(old)
        _seen.clear()
        _seen.update(before)
        raise


def _drop(modules: Iterable[str]) -> None:
    for name in modules:
        sys.modules.pop(name, None)


def _modules() -> dict[str, ModuleType]:
    """The modules that are there from those folders, by their names."""
    there = dict(sys.modules)
    tops = {name.partition(".")[0] for name in there} - sys.stdlib_module_names - _NEVER
    users = {top for top in tops if not _is_installed(top)}
    return {
        name: module
        for name, module in there.items()
        if name.partition(".")[0] in users and any(map(_is_own, _files([module])))
    }


def _is_installed(top: str) -> bool:
    """Whether pip has brought a top-level module or package, below the user's own folder (`pip install -t`)."""
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not _is_own(Path(file).absolute()):
        return False
    folder = Path(file).absolute().parent
    return top in _distributed(folder.parent if hasattr(module, "__path__") else folder)


@functools.cache
def _distributed(folder: Path) -> frozenset[str]:
    """The top-level modules and packages that pip has installed into a folder."""
    there = importlib.metadata.distributions(path=[str(folder)])
    return frozenset(file.parts[0].removesuffix(".py") for each in there for file in each.files or ())


def _is_own(file: Path) -> bool:
    return _INSTALLED.isdisjoint(file.parts) and any(file.is_relative_to(folder) for folder in _folders)


def _files(modules: Iterable[ModuleType]) -> Iterator[Path]:
    for module in modules:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py"):
            yield Path(file).absolute()


def _look_at(file: Path) -> Signature:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
