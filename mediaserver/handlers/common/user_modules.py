"""Imports the modules of users' own handlers, and imports them again when their files have changed.

`importlib.reload` would change a module while calls run its code. Instead, running calls keep the old module, and
later calls get a new one. Modules that a handler's module imports from its own folder are imported again, too.
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

# A file's modification time in nanoseconds, size in bytes and inode; None for a missing file.
FileSignature = tuple[int, int, int] | None
FileStates = dict[Path, FileSignature]
_INSTALLED = {"site-packages", "dist-packages"}  # the names of folders of packages, which users do not edit
_NOT_USERS = {"mediaserver", "__main__", "sitecustomize", "usercustomize"}
# The folders of Python's own modules and of this package.
_NOT_EDITABLE = (Path(os.__file__).parent, Path(__file__).parents[2])

_folders: set[Path] = set()  # the folders that contain the top-level modules and packages of handlers
_imported_files: FileStates = {}  # the files of users' modules, each with its signature at the import


def load_module(name: str) -> ModuleType:
    """Import a handler's module. Exceptions of the module are passed on; a SystemExit becomes an ImportError."""
    try:
        module = importlib.import_module(name)
    except SystemExit as error:
        raise ImportError(f"it calls sys.exit({error.code!r}) while it is imported") from error
    top = sys.modules[name.partition(".")[0]]
    places = list(getattr(top, "__path__", ())) or [top.__file__ or ""]
    _folders.update(Path(place).absolute().parent for place in places if place)
    _folders.difference_update([folder for folder in _folders if not _INSTALLED.isdisjoint(folder.parts)])
    for file in _source_files(_user_modules().values()):
        if file not in _imported_files:
            _imported_files[file] = _signature_of(file)
    return module


def is_editable(file: str) -> bool:
    """Whether a file of a traceback is a user's own code: none of Python, of an installed package or of ours."""
    path = Path(file).absolute()
    return (
        path.is_file() and _INSTALLED.isdisjoint(path.parts) and not any(map(path.is_relative_to, _NOT_EDITABLE))
    )


def source_folders() -> set[Path]:
    """The folders that users' modules have been imported from."""
    return set(_folders)


def imported_files() -> FileStates:
    """The files of users' modules, each with the signature that the file had when the module was imported."""
    return dict(_imported_files)


def current_files() -> FileStates:
    """The files of users' modules, each with its present signature (time of change, size and inode)."""
    return {file: _signature_of(file) for file in list(_imported_files)}


@contextlib.contextmanager
def reimported() -> Iterator[list[str]]:
    """Let all users' modules be imported again within the `with` block if one of their files has changed.

    Yields the names of the modules whose files have changed. An exception in the block restores the old modules;
    the files still count as changed.
    """
    before, now = imported_files(), current_files()
    if now == before:
        yield []
        return
    files = {file for file, signature in now.items() if signature != before[file]}
    old = _user_modules()
    _forget_modules(old)
    _imported_files.clear()
    for file in files:  # Python may not notice an edit within a second, and would use the old .pyc file
        with contextlib.suppress(OSError, NotImplementedError):
            os.unlink(importlib.util.cache_from_source(str(file)))  # noqa: PTH108
    importlib.invalidate_caches()
    try:
        yield sorted(name for name, module in old.items() if not files.isdisjoint(_source_files([module])))
    except BaseException:
        _forget_modules(_user_modules())
        sys.modules.update(old)
        _imported_files.clear()
        _imported_files.update(before)
        raise


def _forget_modules(modules: Iterable[str]) -> None:
    for name in modules:
        sys.modules.pop(name, None)


def _user_modules() -> dict[str, ModuleType]:
    """The imported modules from the users' folders, by name."""
    there = dict(sys.modules)
    tops = {name.partition(".")[0] for name in there} - sys.stdlib_module_names - _NOT_USERS
    users = {top for top in tops if not _is_installed(top)}
    return {
        name: module
        for name, module in there.items()
        if name.partition(".")[0] in users and any(map(_is_user_file, _source_files([module])))
    }


def _is_installed(top: str) -> bool:
    """Whether pip has installed a top-level module or package into the user's own folder (`pip install -t`)."""
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not _is_user_file(Path(file).absolute()):
        return False
    folder = Path(file).absolute().parent
    return top in _installed_modules(folder.parent if hasattr(module, "__path__") else folder)


@functools.cache
def _installed_modules(folder: Path) -> frozenset[str]:
    """The top-level modules and packages that pip has installed into a folder."""
    there = importlib.metadata.distributions(path=[str(folder)])
    return frozenset(file.parts[0].removesuffix(".py") for each in there for file in each.files or ())


def _is_user_file(file: Path) -> bool:
    return _INSTALLED.isdisjoint(file.parts) and any(file.is_relative_to(folder) for folder in _folders)


def _source_files(modules: Iterable[ModuleType]) -> Iterator[Path]:
    for module in modules:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py"):
            yield Path(file).absolute()


def _signature_of(file: Path) -> FileSignature:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
