"""Modules of users' own handlers: which files are watched, and how changed ones are imported again."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediaserver.handlers.common import user_modules


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules from which nothing has been imported yet."""
    monkeypatch.setattr(user_modules, "_folders", set())
    monkeypatch.setattr(user_modules, "_imported_files", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, **modules: str) -> None:
    """Write modules, all within the one second that the times of bytecode files tell apart."""
    for name, text in modules.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        before = file.stat().st_mtime_ns if file.exists() else 1_000_000_000 * 10**9
        file.write_text(text)
        os.utime(file, ns=(before + 1000, before + 1000))
    importlib.invalidate_caches()


def watched(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in user_modules.imported_files()}


def test_the_files_of_a_handler_and_of_what_it_imports_from_its_folder_are_watched(folder: Path) -> None:
    write(folder, mine_a="import words_a, json, numpy", words_a="PROMPT = 1", other_a="")
    user_modules.load_module("mine_a")
    assert watched(folder) == {"mine_a.py", "words_a.py"}
    assert user_modules.source_folders() == {folder}
    assert user_modules.current_files() == user_modules.imported_files()


def test_a_handler_in_a_package_may_import_what_is_beside_the_package(folder: Path) -> None:
    (folder / "shop_b").mkdir()
    (folder / "shop_b/__init__.py").write_text("")
    write(folder, shop_b__mine="import words_b", words_b="")
    user_modules.load_module("shop_b.mine")
    assert watched(folder) == {"shop_b/__init__.py", "shop_b/mine.py", "words_b.py"}
    assert user_modules.source_folders() == {folder}


def test_what_pip_has_installed_into_the_folder_is_not_watched(folder: Path) -> None:
    (folder / "lib_c-1.0.dist-info").mkdir()
    (folder / "lib_c-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: lib-c\nVersion: 1.0\n")
    (folder / "lib_c-1.0.dist-info/RECORD").write_text("lib_c.py,,\nkit_c/__init__.py,,\n")
    (folder / "kit_c").mkdir()
    (folder / "kit_c/__init__.py").write_text("")
    write(folder, mine_c="import lib_c, kit_c, words_c", lib_c="", words_c="")
    user_modules.load_module("mine_c")
    assert watched(folder) == {"mine_c.py", "words_c.py"}


def test_changed_modules_are_imported_again_and_running_calls_keep_the_old_ones(folder: Path) -> None:
    """Also where an edit has the size and the second of the text before, by which Python knows its bytecode."""
    write(folder, mine_d="import words_d", words_d="PROMPT = 1")
    old = user_modules.load_module("mine_d")
    write(folder, words_d="PROMPT = 2")
    with user_modules.reimported() as changed:
        assert changed == ["words_d"]
        new = user_modules.load_module("mine_d")
    assert (old.words_d.PROMPT, new.words_d.PROMPT) == (1, 2)
    assert sys.modules["mine_d"] is new
    assert user_modules.current_files() == user_modules.imported_files()


def test_without_a_change_all_modules_stay(folder: Path) -> None:
    write(folder, mine_e="")
    old = user_modules.load_module("mine_e")
    with user_modules.reimported() as changed:
        assert changed == []
        assert user_modules.load_module("mine_e") is old
    assert watched(folder) == {"mine_e.py"}


def test_a_mistake_restores_the_old_modules_and_the_change_still_counts(folder: Path) -> None:
    write(folder, mine_f="import words_f", words_f="PROMPT = 1")
    old = user_modules.load_module("mine_f")
    before = user_modules.imported_files()
    write(folder, words_f="PROMPT = ")
    with pytest.raises(SyntaxError), user_modules.reimported():
        user_modules.load_module("mine_f")
    assert sys.modules["mine_f"] is old
    assert user_modules.imported_files() == before != user_modules.current_files()
    write(folder, words_f="PROMPT = 3")
    with user_modules.reimported() as changed:
        assert (changed, user_modules.load_module("mine_f").words_f.PROMPT) == (["words_f"], 3)


def test_a_file_that_is_gone_has_changed(folder: Path) -> None:
    write(folder, mine_g="")
    user_modules.load_module("mine_g")
    (folder / "mine_g.py").unlink()
    with user_modules.reimported() as changed:
        assert changed == ["mine_g"]
        with pytest.raises(ModuleNotFoundError):
            user_modules.load_module("mine_g")


def test_a_module_that_ends_the_process_is_not_imported(folder: Path) -> None:
    write(folder, mine_h="import sys\nsys.exit(3)")
    with pytest.raises(ImportError, match=r"it calls sys.exit\(3\) while it is imported"):
        user_modules.load_module("mine_h")
