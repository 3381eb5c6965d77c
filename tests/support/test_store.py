"""The store of bytes on disk: what others, crashes and full disks may do to it."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mediaserver.support.store import Store

LIMIT = 10_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache/sounds"


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(str(folder), LIMIT)


def entries(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name != "tally"]


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in entries(folder))


def test_data_that_is_put_is_read_by_every_process(folder: Path, store: Store) -> None:
    assert store.get("a") is None
    store.put("a", b"sound")
    store.put("b", b"")
    assert [Store(str(folder), LIMIT).get(key) for key in ("a", "b", "c")] == [b"sound", b"", None]
    store.put("a", b"another")
    assert store.get("a") == b"another"


def test_only_our_user_has_access_to_the_folder(folder: Path, store: Store) -> None:
    store.put("a", b"sound")
    assert folder.stat().st_mode & 0o777 == 0o700


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def put_another_in_its_place(file: Path) -> None:
    other = Store(str(file.parent), LIMIT)
    other.put("b", b"sound")
    next(each for each in entries(file.parent) if each != file).rename(file)


@pytest.mark.parametrize("damage", [cut, empty, flip, put_another_in_its_place])
def test_a_damaged_entry_is_none_and_is_removed(folder: Path, store: Store, damage) -> None:
    store.put("a", b"sound")
    (file,) = entries(folder)
    damage(file)
    assert store.get("a") is None
    assert not file.exists()
    store.put("a", b"sound")
    assert store.get("a") == b"sound"


def test_the_least_recently_used_go_first_and_the_limit_is_kept(folder: Path, store: Store) -> None:
    for n, key in enumerate("abcdefghi"):  # each of 1032 bytes
        store.put(key, bytes(1000))
        os.utime(folder / max(entries(folder), key=lambda file: file.stat().st_mtime_ns).name, (n, n))
    assert store.get("a") is not None
    store.put("j", bytes(1000))  # the tenth: over the limit
    assert size_of(folder) <= LIMIT
    kept = {key for key in "abcdefghij" if store.get(key) is not None}
    assert {"a", "j"} <= kept
    assert kept & set("bc") == set()
    for n in range(200):
        store.put(f"more {n}", os.urandom(1 + 37 * n % 3000))
        assert size_of(folder) <= LIMIT
        assert store.get(f"more {n}") is not None


def test_data_larger_than_the_limit_is_not_stored(folder: Path, store: Store) -> None:
    store.put("a", bytes(1000))
    store.put("b", bytes(LIMIT))
    assert store.get("b") is None
    assert store.get("a") is not None


@pytest.mark.parametrize("tally", [b"", b"no number at all, this is", b"9" * 20])
def test_a_spoilt_tally_is_mended(folder: Path, store: Store, tally: bytes) -> None:
    store.put("a", bytes(1000))
    (folder / "tally").write_bytes(tally)
    store.put("b", bytes(1000))
    assert int((folder / "tally").read_text()[:20]) == size_of(folder)
    assert store.get("a") is not None


def test_a_file_that_a_killed_writer_left_is_replaced(folder: Path, store: Store) -> None:
    store.put("a", b"sound")
    (folder / "unfinished").write_bytes(bytes(3 * LIMIT))
    store.put("b", b"more sound")
    assert (store.get("a"), store.get("b")) == (b"sound", b"more sound")
    assert not (folder / "unfinished").exists()


def test_a_folder_that_is_removed_is_made_again(folder: Path, store: Store) -> None:
    store.put("a", b"sound")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert store.get("a") is None
    store.put("a", b"sound")
    assert store.get("a") == b"sound"


def elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(parents=True, mode=0o700)
    folder.symlink_to("elsewhere")


def no_folder(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_bytes(b"")


@pytest.mark.parametrize("there", [elsewhere, no_folder])
def test_a_path_that_is_no_folder_is_not_used(folder: Path, store: Store, there) -> None:
    there(folder)
    with pytest.raises(NotADirectoryError):
        store.open()
    with pytest.raises(NotADirectoryError):
        store.put("a", b"sound")
    assert store.get("a") is None


def test_a_folder_of_another_user_is_not_read(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", b"sound")
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")
    assert store.get("a") is None
    folder.unlink()
    folder.with_name("elsewhere").rename(folder)
    assert store.get("a") == b"sound"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert store.get("a") is None
    with pytest.raises(PermissionError, match="is another user's"):
        store.put("b", b"sound")


@pytest.mark.parametrize("use", [Store.open, lambda store: store.get("a"), lambda store: store.put("b", b"")])
def test_a_folder_of_ours_that_others_may_use_is_ours_alone_again(folder: Path, store: Store, use) -> None:
    store.put("a", b"sound")
    folder.chmod(0o2770)  # as Kubernetes leaves it on a volume, with fsGroup
    use(store)
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert store.get("a") == b"sound"


def link(file: Path) -> None:
    file.rename(file.parent.parent / "entry")
    file.symlink_to(file.parent.parent / "entry")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("become", [link, pipe])
def test_an_entry_that_is_no_file_is_none_and_is_replaced(folder: Path, store: Store, become) -> None:
    store.put("a", b"sound")
    (file,) = entries(folder)
    become(file)
    assert store.get("a") is None
    store.put("a", b"sound")
    assert store.get("a") == b"sound"


def test_a_lock_that_is_held_for_too_long_is_not_waited_for(folder: Path, store: Store) -> None:
    store.put("a", b"sound")
    with (folder / "tally").open() as tally:
        fcntl.flock(tally, fcntl.LOCK_EX)
        for _ in range(2):
            with pytest.raises(TimeoutError, match="does not let go"):
                store.put("b", b"sound")
        assert store.get("a") == b"sound"
    store.put("b", b"sound")
    assert store.get("b") == b"sound"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_cannot_be_written_still_gives(folder: Path, store: Store) -> None:
    store.put("a", b"sound")
    folder.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot be written"):
        store.put("b", b"sound")
    assert store.get("a") == b"sound"
    folder.chmod(0o700)


FULL = """
import resource, signal, sys
from mediaserver.support.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as on a full disk: a write ends half way
try:
    Store(sys.argv[1], 10_000).put("b", bytes(5000))
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_full_disk_leaves_nothing_half_written(folder: Path, store: Store) -> None:
    store.put("a", b"sound")
    process = subprocess.run([sys.executable, "-c", FULL, str(folder)], check=False)
    assert process.returncode == errno.EFBIG
    assert (store.get("a"), store.get("b")) == (b"sound", None)
    assert len(entries(folder)) == 1


WRITER = """
import random, sys
from mediaserver.support.store import Store
store, rng = Store(sys.argv[1], 10_000), random.Random(sys.argv[2])
for _ in range(300):
    key = rng.randrange(20)
    data = bytes([key]) * (100 * key)
    if rng.random() < 0.5:
        store.put(str(key), data)
    else:
        assert store.get(str(key)) in (None, data)
"""


def test_processes_that_share_it_never_see_half_an_entry_and_keep_the_limit(folder: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(folder)]
    writers = [subprocess.Popen([*command, seed]) for seed in "123"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert 0 < size_of(folder) <= LIMIT
