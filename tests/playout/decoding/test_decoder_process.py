"""What a decoder process answers, without the process."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.playout.decoding import decoder_process
from mediaserver.playout.decoding.decode_cache import DecodeCache
from mediaserver.playout.decoding.decoder_process import ANSWER, REQUEST, Purpose
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.support.store import Store
from tests.sound import sine, speechlike, write_wav

SOUND = speechlike(1000)
CODES = bytes(range(256)) * 4


def test_a_sound_file_is_described_and_its_pcm_is_all_of_it(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", SOUND)
    description, pcm = decoder_process.answer_request(str(path), None)
    assert pcm == to_bytes(SOUND)
    assert description["source"] == "WAV 8000 Hz 16-bit mono"
    assert -30 < description["loudness_lufs"] < description["peak_dbfs"] < 0
    assert (description["stored"], description["problem"]) == ("", "")


def test_pcm_with_line_ends_in_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.sln"
    path.write_bytes(b"\n\n\n{}\0\n\n" * 100)
    assert decoder_process.answer_request(str(path), None)[1] == b"\n\n\n{}\0\n\n" * 100


def test_a_file_decoded_before_is_found_in_the_cache(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", SOUND)
    cache = DecodeCache(Store(str(tmp_path / "cache"), 1_000_000), "one")
    first, second = (decoder_process.answer_request(str(path), cache) for _ in range(2))
    assert (first[0]["stored"], second[0]["stored"]) == ("miss", "hit")
    assert first[1] == second[1] == to_bytes(SOUND)
    assert first[0] | {"stored": "hit"} == second[0]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("gone.wav", None, "cannot be read: No such file or directory"),
        ("empty.wav", b"", "is empty"),
        ("page.sln", b"<!DOCTYPE html><html>", "is an HTML page, not sound"),
        ("text.wav", b"hello", "is not a WAV file: it does not begin with RIFF....WAVE"),
    ],
)
def test_the_answer_says_why_a_file_cannot_be_played(
    name: str, content: bytes | None, why: str, stored: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    cache = DecodeCache(Store(str(tmp_path / "cache"), 1_000_000), "one") if stored else None
    description, pcm = decoder_process.answer_request(str(path), cache)
    assert (list(description), pcm) == (["error"], b"")
    assert description["error"].startswith(why)


def test_an_unexpected_error_is_an_answer_too() -> None:
    assert decoder_process.answer_request("no\0path.wav", None) == (
        {"error": "cannot be decoded: ValueError: embedded null byte"},
        b"",
    )


def test_a_prompt_is_measured_at_its_own_rate_and_as_it_is_heard(tmp_path: Path) -> None:
    sound = np.clip(sine(1000, 1, 48_000, 0.2) + sine(9000, 1, 48_000, 0.1) + 0.2, -1, 1)
    path = write_wav(tmp_path / "a.wav", np.rint(sound * 32767), 48_000)
    measured = decoder_process.measure(str(path), 60, "auto", Conditioning(-20.0))
    assert measured["level"] == pytest.approx(-20, abs=0.1)
    assert measured["gain"] == pytest.approx(-20 + 17, abs=0.2)
    assert (measured["offset"], measured["offset_removed"]) == (pytest.approx(0.2, abs=0.001), True)
    assert measured["out_of_band"] == pytest.approx(0.2, abs=0.01)  # which 8 kHz no longer has
    assert (measured["silence_before"], measured["silence_after"], measured["clipped_runs"]) == (0, 0, 0)
    assert len(measured["waveform"]) == 240
    assert max(high for _, high in measured["waveform"]) == pytest.approx(14, abs=1)


def test_a_file_that_cannot_be_measured_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    assert decoder_process.measure(str(tmp_path / "a.wav"), 60, "auto", Conditioning()) == {"error": "is empty"}
    path = write_wav(tmp_path / "b.wav", SOUND[:0])
    assert decoder_process.measure(str(path), 60, "auto", Conditioning())["waveform"] == []


@pytest.mark.parametrize(("kind", "pcm"), [("linear", CODES), ("mulaw", to_bytes(g711.mulaw_decode(CODES)))])
def test_headerless_sound_is_taken_for_what_the_settings_say(tmp_path: Path, kind: str, pcm: bytes) -> None:
    (tmp_path / "a.pcm").write_bytes(CODES)
    assert decoder_process.answer_request(str(tmp_path / "a.pcm"), None, 60, kind)[1] == pcm
    measured = decoder_process.measure(str(tmp_path / "a.pcm"), 60, kind, Conditioning())
    assert measured["first"] == from_bytes(pcm)[0] / 32768


def served(requests: list[tuple[Path, Purpose, int]], **options: Any) -> list[tuple[dict[str, Any], bytes]]:
    """The answers to requests, one after another."""
    asked, answers = io.BytesIO(), io.BytesIO()
    for path, purpose, most in requests:
        name = os.fsencode(path)
        asked.write(REQUEST.pack(len(name), purpose, most) + name)
    asked.seek(0)
    given = {"cache": None, "longest": 60.0, "pcm_kind": "auto", "conditioning": Conditioning()} | options
    decoder_process._serve(requests=asked, answers=answers, **given)
    answers.seek(0)
    found = []
    while head := answers.read(ANSWER.size):
        size, pcm_size = ANSWER.unpack(head)
        found.append((json.loads(answers.read(size)), answers.read(pcm_size)))
    return found


def test_prompts_are_conditioned_and_cached_and_other_sounds_are_not(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(8000))
    cache = DecodeCache(Store(str(tmp_path / "cache"), 1_000_000), "one")
    (prompt, levelled), (sound, as_it_is), (measured, nothing) = served(
        [(path, purpose, 0) for purpose in (Purpose.PROMPT, Purpose.SOUND, Purpose.MEASUREMENT)],
        cache=cache,
        conditioning=Conditioning(-30.0),
    )
    assert (prompt["stored"], sound["stored"]) == ("miss", "")
    assert as_it_is == to_bytes(speechlike(8000)) != levelled
    assert len(levelled) == 16_000
    assert (measured["level"], nothing) == (pytest.approx(-30, abs=0.1), b"")


@pytest.mark.parametrize(
    ("most", "longest", "played"), [(0, 60, True), (1, 60, True), (0, 1, True), (2, 0.5, False)]
)
def test_a_sound_has_the_limit_of_its_request_and_that_of_the_settings(
    tmp_path: Path, most: int, longest: float, played: bool
) -> None:
    path = write_wav(tmp_path / "a.wav", speechlike(8000))
    ((answer, pcm),) = served([(path, Purpose.SOUND, most)], longest=longest)
    assert (bool(pcm), "error" not in answer) == (played, played)
    ((answer, _),) = served([(write_wav(tmp_path / "b.wav", speechlike(9000)), Purpose.SOUND, 1)])
    assert "error" in answer


def test_headerless_sound_is_served_by_the_settings(tmp_path: Path) -> None:
    (tmp_path / "a.pcm").write_bytes(CODES)
    for purpose in (Purpose.PROMPT, Purpose.SOUND):
        ((_, pcm),) = served([(tmp_path / "a.pcm", purpose, 0)], pcm_kind="mulaw")
        assert pcm == to_bytes(g711.mulaw_decode(CODES))
