"""Prompts that are played louder or softer than they are: their frames are made once, and kept."""

import asyncio
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU, TCP, ULAW, Encoding
from tests.playout.prompts.folder import NEW, OLD, encoded, loaded, put, refreshed
from tests.virtual import VirtualLoop, in_virtual_time

QUIET = (OLD // 8).astype(np.int16)


def amplified(samples: np.ndarray, gain: float) -> np.ndarray:
    return np.rint(samples * 10 ** (gain / 20)).astype(np.int16)


async def frames_of(library: PromptLibrary, gain: float, encoding: Encoding = PCM) -> EncodedFrames:
    """The frames of the prompt `a` once they are kept."""
    prompt = library.snapshot.view(gain=gain).get("a")
    first = prompt.get_frames(encoding)
    if isinstance(first, EncodedFrames):
        list(first.frames)  # frames that are amplified as they are played
    for _ in range(10):
        await asyncio.sleep(0)
    kept = prompt.get_frames(encoding)
    assert isinstance(kept, EncodedFrames)
    assert prompt.get_frames(encoding) is kept
    return kept


@pytest.mark.parametrize("gain", [-6.0, 3.5, -40.0])
@pytest.mark.parametrize("encoding", [PCM, MESSAGE, L16, PCMU, PCMA])
@in_virtual_time
async def test_frames_are_amplified_before_they_are_encoded(
    tmp_path: Path, encoding: Encoding, gain: float, loop: VirtualLoop
) -> None:
    put(tmp_path / "a.wav", QUIET)
    library = await loaded(tmp_path)
    at_once = library.snapshot.view(gain=gain).get("a").get_frames(encoding)
    assert isinstance(at_once, EncodedFrames)
    expected = encoded(amplified(QUIET, gain), encoding)
    assert list(at_once.frames) == list(expected.frames)
    assert await frames_of(library, gain, encoding) == expected


@in_virtual_time
async def test_without_a_gain_frames_are_shared(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", QUIET)
    library = await loaded(tmp_path)
    assert library.snapshot.view(gain=0.0) is library.snapshot
    plain = library.prompts["a"]
    assert library.snapshot.view(gain=0.0).get("a") is plain
    assert plain.amplified(0.0) is plain
    soft = await frames_of(library, -6.0)
    assert (await frames_of(library, -6.0)).frames is soft.frames
    assert plain.get_frames(PCM) == encoded(QUIET)
    assert library.store.cache.bytes == encoded(QUIET).size + soft.size


@pytest.mark.parametrize(("gain", "heard"), [(20.0, 6.0), (6.0, 6.0), (3.0, 3.0)])
@in_virtual_time
async def test_no_gain_clips_a_peak(tmp_path: Path, gain: float, heard: float, loop: VirtualLoop) -> None:
    loud = QUIET.copy()
    loud[100] = 16_000  # 6.05 dB below what no encoding clips
    put(tmp_path / "a.wav", loud)
    prompt = (await loaded(tmp_path)).snapshot.view(gain=gain).match(["*"])[0]
    assert prompt.gain == pytest.approx(heard, abs=0.1)
    frames = prompt.get_frames(PCM)
    assert isinstance(frames, EncodedFrames)
    sound = np.frombuffer(b"".join(map(PCM.decode, frames.frames)), "<i2")
    assert 0.99 * 16_000 * 10 ** (heard / 20) < np.abs(sound.astype(int)).max() <= 32_123


@in_virtual_time
async def test_what_is_clipped_already_gets_no_louder_and_may_be_softer(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", np.tile(np.array([32767, -32768], dtype=np.int16), 800))
    prompt = (await loaded(tmp_path)).prompts["a"]
    assert prompt.amplified(6.0) is prompt
    assert prompt.amplified(-6.0) is not prompt


@in_virtual_time
async def test_a_loop_goes_on_at_its_gain_when_its_file_changes(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", QUIET)
    library = await loaded(tmp_path)
    await frames_of(library, -6.0)
    playing = Playlist(Repeated([library.snapshot.view(gain=-6.0).get("a")], None)).iter_frames(PCM)
    sent = list(islice(playing, 7))
    put(path, NEW)
    assert await refreshed(library) is not None
    sent += islice(playing, 53)
    assert sent == PCM.packetize(to_bytes(amplified(QUIET, -6.0)) * 6)
    assert await frames_of(library, -6.0) == encoded(amplified(NEW, -6.0))


@in_virtual_time
async def test_nothing_of_an_old_file_stays_in_the_cache(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", QUIET)
    library = await loaded(tmp_path, encodings=(PCM, TCP))
    for gain in (-6.0, 3.0):
        await frames_of(library, gain, PCMU)
    await frames_of(library, 0.0, ULAW)
    path.unlink()
    assert await refreshed(library) is not None
    assert library.store.cache.bytes == 0
