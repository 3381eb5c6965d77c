"""A decoder's memory is bounded by what is kept of a sound, whatever its file is like."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mediaserver.errors import PromptError
from mediaserver.playout.decoding.pool import DecodePool
from tests.sound import Pcm
from tests.timing import PATIENCE

HOURS, MINUTES = 10, 10
# Bytes for the interpreter, numpy and soxr, or for ffmpeg; what is kept of ten minutes is 10 MB.
MOST = 160_000_000

# Decodes a file as a decoder does, and tells how much memory that took: its own, and its programs'.
MEASURED = """
import json, re, resource, sys
from pathlib import Path
from mediaserver.playout.decoding.decoder_process import answer_request
about, pcm = answer_request(sys.argv[1], None, float(sys.argv[2]))
# Of itself, getrusage tells what the process that started it had, where that was more.
(own,) = re.findall(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())
others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([about, len(pcm), 1024 * int(own), 1024 * others]))
"""


def decoded(path: Path, longest: float) -> tuple[dict[str, str], int, int, int]:
    """What a decoder says of a file, the bytes of PCM, and the most memory that it and its programs had."""
    command = [sys.executable, "-c", MEASURED, str(path), str(longest)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    about, size, own, others = json.loads(done.stdout)
    return about, size, own, others


def silence(ffmpeg: str, path: Path, seconds: int, *options: str) -> Path:
    """A file of silence, which compresses to next to nothing."""
    source = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo", "-t", str(seconds))
    subprocess.run([ffmpeg, "-v", "error", *source, *options, str(path)], check=True, timeout=PATIENCE)
    return path


@pytest.mark.parametrize(
    ("name", "times", "options"),
    [
        ("a.flac", 1, ("-c:a", "flac")),
        ("a.wav", 1, ("-c:a", "pcm_s24le")),
        # Frames of MP3 may be repeated, where no header in front says how many there are. To encode takes long.
        ("a.mp3", MINUTES, ("-ar", "44100", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0")),
    ],
)
def test_ten_minutes_of_48_khz_stereo_take_bounded_memory(
    tmp_path: Path, ffmpeg: str, name: str, times: int, options: tuple[str, ...]
) -> None:
    """As a whole, it would be hundreds of megabytes of the file's own samples, and more of floating point."""
    path = silence(ffmpeg, tmp_path / name, 60 * MINUTES // times, *options)
    path.write_bytes(path.read_bytes() * times)
    about, size, own, others = decoded(path, 7200)
    assert "error" not in about
    assert size == pytest.approx(60 * MINUTES * 16_000, rel=1e-3)  # MP3 fills its last frame
    assert own < MOST
    assert others < MOST


def test_a_small_file_that_claims_hours_is_not_decoded(tmp_path: Path, ffmpeg: str) -> None:
    """With its length in it, nothing of it is decoded."""
    short = silence(ffmpeg, tmp_path / "short.flac", 1)
    content = bytearray(short.read_bytes())
    assert content[:4] == b"fLaC"
    samples = HOURS * 3600 * 48_000  # 36 bits of the STREAMINFO block, RFC 9639
    content[21:26] = bytes([content[21] & 0xF0 | samples >> 32]) + (samples & 0xFFFFFFFF).to_bytes(4, "big")
    path = tmp_path / "long.flac"
    path.write_bytes(content)
    about, size, own, _ = decoded(path, 7200)
    assert about == {"error": "is longer than 7200 s: cut it into parts, or raise prompts.longest"}
    assert (size, own < MOST) == (0, True)


def test_a_small_file_that_has_hours_is_decoded_up_to_the_limit(tmp_path: Path, ffmpeg: str) -> None:
    """A stream has no length: it is decoded as far as it may be."""
    path = tmp_path / "streamed.flac"
    source = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", str(HOURS * 360))
    with path.open("wb") as file:
        subprocess.run([ffmpeg, "-v", "error", *source, "-f", "flac", "pipe:1"], stdout=file, check=True)
    about, size, own, others = decoded(path, 60)
    assert about == {"error": "is longer than 60 s: cut it into parts, or raise prompts.longest"}
    assert (size, own < MOST, others < MOST) == (0, True, True)


@pytest.mark.parametrize("name", ["long.sln", "long.ulaw"])
def test_a_headerless_file_that_is_too_long_is_not_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, 10_000_000_000)  # of nothing: it takes no disk
    about, _, own, _ = decoded(path, 7200)
    assert about == {"error": "is longer than 7200 s: cut it into parts, or raise prompts.longest"}
    assert own < MOST


async def test_a_cached_file_that_is_longer_than_allowed_now_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sln"
    path.write_bytes(bytes(16_000 * 3))
    pools = [DecodePool(tmp_path / "cache", 10_000_000, longest) for longest in (3, 2)]
    await pools[0].decode(path, Pcm)
    with pytest.raises(PromptError, match=r"^is longer than 2 s: cut it into parts, or raise prompts\.longest$"):
        await pools[1].decode(path, Pcm)
    assert pools[0].stored["miss"] == 1
    for pool in pools:
        await pool.release_decoders()


FAKE = """#!/bin/sh
{ env | sort; ulimit -v; } > "$0.seen"
exit 1
"""


async def test_ffmpeg_has_bounded_memory_and_none_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ffmpeg", "ffprobe"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("VOIPBIN_TOKEN", "s3cret")
    (tmp_path / "a.mp3").write_bytes(b"no matter what")
    pool = DecodePool(longest=100)
    with pytest.raises(PromptError, match=r"^cannot be decoded by FFmpeg: "):
        await pool.decode(tmp_path / "a.mp3", Pcm)
    await pool.release_decoders()
    for name in ("ffmpeg", "ffprobe"):
        *variables, limit = (tmp_path / f"{name}.seen").read_text().splitlines()
        assert not any("s3cret" in each for each in variables)
        assert 0 < int(limit) * 1024 < 2_100_000_000
