"""A WAV file that grows: on disks that take it in pieces or become full, and truncated at its end."""

import errno
import io
import wave
from pathlib import Path

import pytest

from mediaserver.audio.containers import wav
from mediaserver.call.recording.wav_writer import WavFile, ensure_within

PCM = bytes(range(1, 251)) * 4


class SmallDisk(io.RawIOBase):
    """Takes some bytes at a time of what is written to a file, and in all no more than there is room for."""

    def __init__(self, file: WavFile, at_once: int, room: int) -> None:
        self._file, self._at_once, self._room = file._file, at_once, room
        file._file = self  # type: ignore[assignment]

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = min(self._at_once, self._room, len(data))
        self._room -= size
        return int(self._file.write(data[:size]))

    def fileno(self) -> int:
        return self._file.fileno()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> tuple[int, bytes]:
    """The channels and the sound of a file, by other hands than ours."""
    with wave.open(str(path)) as file:
        sound = file.readframes(file.getnframes())
        assert len(sound) == file.getnframes() * 2 * file.getnchannels()  # no more is promised than there is
        return file.getnchannels(), sound


@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_file_is_valid_after_every_append(channels: int, tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", channels)
    part = tmp_path / "a.wav.part"
    assert read(part) == (channels, b"")
    for n in range(1, 4):
        file.append(PCM)
        assert read(part) == (channels, n * PCM)
        assert file.samples == n * len(PCM) // 2 // channels
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav.part"]
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert read(tmp_path / "a.wav") == (channels, 3 * PCM)


@pytest.mark.parametrize("at_once", [1, 7, 400])
def test_pcm_that_a_disk_takes_in_pieces_is_written_whole(at_once: int, tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", 1)
    SmallDisk(file, at_once, 1_000_000)
    file.append(PCM)
    file.append(PCM[::-1])
    file.close()
    assert read(tmp_path / "a.wav") == (1, PCM + PCM[::-1])


@pytest.mark.parametrize(
    ("channels", "room", "kept"), [(1, 1005, 1004), (2, 1007, 1004), (2, 1008, 1008), (1, 0, 0)]
)
def test_whole_samples_are_kept_of_what_a_full_disk_took(
    channels: int, room: int, kept: int, tmp_path: Path
) -> None:
    file = WavFile(tmp_path / "a.wav", channels)
    SmallDisk(file, 100, room)
    with pytest.raises(OSError, match="No space left"):
        file.append(PCM + PCM)
    assert file.samples == kept // 2 // channels
    assert read(tmp_path / "a.wav.part") == (channels, (PCM + PCM)[:kept])
    file.close()
    assert read(tmp_path / "a.wav") == (channels, (PCM + PCM)[:kept])
    assert (tmp_path / "a.wav").stat().st_size == wav.HEADER_BYTES + kept


@pytest.mark.parametrize(("samples", "kept"), [(None, 1000), (0, 0), (100, 400), (250, 1000), (9999, 1000)])
def test_a_wav_file_can_be_truncated_and_not_made_longer(samples: int | None, kept: int, tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", 2)
    file.append(PCM)
    file.close(samples)
    assert read(tmp_path / "a.wav") == (2, PCM[:kept])
    assert (tmp_path / "a.wav").stat().st_size == wav.HEADER_BYTES + kept


def test_a_name_that_is_taken_or_being_written_gets_the_next_number(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("precious")
    (tmp_path / "a-1.wav.part").write_text("under way")
    files = [WavFile(tmp_path / "a.wav", 1) for _ in range(2)]
    assert [file.path.name for file in files] == ["a-2.wav", "a-3.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a-1.wav.part", "a-2.wav.part", "a-3.wav.part", "a.wav"),
    ]
    for file in files:
        file.close()
    assert (tmp_path / "a-1.wav.part").read_text() == "under way"


def test_which_paths_are_within_a_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (tmp_path / "also").symlink_to(inside)
    ensure_within(inside, inside / "deep/a.wav")
    ensure_within(tmp_path / "also", inside / "a.wav")
    for path in (inside / "link/a.wav", outside / "a.wav", inside / "../a.wav"):
        with pytest.raises(PermissionError):
            ensure_within(inside, path)
