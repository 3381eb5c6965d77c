"""What decoded files in the cache depend on: an update of any program that decodes has another fingerprint."""

import os
from pathlib import Path

import pytest

from mediaserver.playout.decoding.fingerprint import decoder_fingerprint


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(program: Path, content: str, time_ns: int) -> None:
    program.write_text(content)
    program.chmod(0o755)
    os.utime(program, ns=(time_ns, time_ns))


def test_programs_that_are_missing_are_told(programs: Path) -> None:
    assert decoder_fingerprint().endswith("; no ffmpeg; no ffprobe")


def test_programs_are_known_by_size_and_time(programs: Path) -> None:
    install(programs / "ffmpeg", "12345", 1_000_000_007)
    install(programs / "ffprobe", "123", 5)
    end = "; ffmpeg of 5 bytes and 1000000007 ns; ffprobe of 3 bytes and 5 ns"
    assert decoder_fingerprint().endswith(end)


@pytest.mark.parametrize("program", ["ffmpeg", "ffprobe"])
@pytest.mark.parametrize(("content", "time_ns"), [("12345", 6), ("123456", 5)])
def test_an_update_of_either_program_is_noticed(programs: Path, program: str, content: str, time_ns: int) -> None:
    for name in ("ffmpeg", "ffprobe"):
        install(programs / name, "12345", 5)
    before = decoder_fingerprint()
    assert decoder_fingerprint() == before
    install(programs / program, content, time_ns)
    assert decoder_fingerprint() != before
