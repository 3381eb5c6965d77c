"""Prompts that are played at a level: it is that of what is heard, and is measured once."""

import asyncio
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.level.active_level import active_level
from mediaserver.audio.level.levels import peak
from mediaserver.audio.pcm import Samples, from_bytes
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.wire.encapsulation import L16, PCM, PCMU, Encoding
from tests.playout.pacing.frames import PCM as WEBSOCKET
from tests.playout.pacing.frames import sent_frames
from tests.playout.prompts.folder import InlinePool, loaded, put, refreshed
from tests.sound import voice
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

VOICE = voice(24_000)


def heard_of(frames: EncodedFrames, encoding: Encoding = PCM) -> Samples:
    return from_bytes(b"".join(map(encoding.decode, frames.frames)))[: frames.samples]


def measured(library: PromptLibrary) -> list[str]:
    assert isinstance(library.pool, InlinePool)
    return library.pool.measured


@pytest.mark.parametrize("level", [-20.0, -26.0, -40.0])
@pytest.mark.parametrize("encoding", [PCM, L16, PCMU], ids=lambda encoding: encoding.name)
@in_virtual_time
async def test_a_prompt_is_heard_at_its_level(
    tmp_path: Path, encoding: Encoding, level: float, loop: VirtualLoop
) -> None:
    put(tmp_path / "a.wav", VOICE)
    library = await loaded(tmp_path)
    prompt = LevelledPrompt(library.prompts["a"], level)
    frames = await prompt.make_frames(encoding)
    assert active_level(heard_of(frames, encoding)) == pytest.approx(level, abs=0.1)
    assert prompt.get_frames(encoding) is not None
    await asyncio.sleep(0.1)
    kept = prompt.get_frames(encoding)
    assert kept is prompt.get_frames(encoding)  # shared by all streams
    assert measured(library) == ["a.wav"]


@in_virtual_time
async def test_no_peak_is_clipped_for_it(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", np.where(np.arange(len(VOICE)) == 8000, 12_000, VOICE // 4).astype(np.int16))
    library = await loaded(tmp_path)
    frames = await LevelledPrompt(library.prompts["a"], -20.0).make_frames(PCM)
    assert 31_000 < peak(heard_of(frames)) <= 32_123


@pytest.mark.parametrize("samples", [np.zeros(4000, dtype=np.int16), VOICE[:100]], ids=["silence", "short"])
@in_virtual_time
async def test_what_has_no_level_is_played_as_it_is(tmp_path: Path, samples: Samples, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", samples)
    library = await loaded(tmp_path)
    frames = await LevelledPrompt(library.prompts["a"], -26.0).make_frames(PCM)
    assert (heard_of(frames) == samples).all()


@in_virtual_time
async def test_a_call_keeps_the_background_with_which_it_began(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", VOICE)
    library = await loaded(tmp_path)
    streams = [VirtualStream(loop, WEBSOCKET) for _ in range(2)]
    for stream, softer in zip(streams, (1, 4), strict=True):
        if softer > 1:  # a voice that is softer is brought to the same level
            put(tmp_path / "a.wav", -(VOICE // softer)[:16_000])
            await refreshed(library)
        stream.pacer.set_background(Background(LevelledPrompt(library.prompts["a"], -26.0), 0.0))
        stream.pacer.start()
        await stream.until(loop.time() * 1000 + 1500)
    await streams[0].until(9000)
    sent = [
        from_bytes(b"".join(frame or b"" for frame in sent_frames(stream)[50:])).astype(float)
        for stream in streams
    ]
    for heard, samples in zip(sent, (VOICE, -(VOICE // 4)[:16_000]), strict=True):
        wanted = np.resize(samples, 100_000).astype(float) * 10 ** ((-26 - active_level(samples)) / 20)
        at = int(np.correlate(wanted[: len(samples) + 399], heard[:400]).argmax())
        assert np.abs(heard[:32_000] - wanted[at : at + 32_000]).max() < 8  # over the seam of the loop as well


@in_virtual_time
async def test_a_background_whose_file_is_gone_leaves_all_else_as_it_is(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", VOICE)
    put(tmp_path / "b.wav", VOICE[:8000])
    library = await loaded(tmp_path, limit=1, encodings=(PCM,))  # the last prompt alone stays in memory
    gone = next(name for name in "ab" if (library.prompts[name], PCM.name) not in library.store.cache._entries)
    (tmp_path / f"{gone}.wav").unlink()
    background = LevelledPrompt(library.prompts[gone], -26.0)
    frames = background.get_frames(PCM)
    assert not isinstance(frames, EncodedFrames)
    while not frames.done():
        await asyncio.sleep(0.01)
    silent = frames.result()
    assert isinstance(silent, EncodedFrames)
    assert list(silent.frames) == [PCM.silence] * 50
    assert list(islice(Background(background, 10.0).mix(iter([L16.silence] * 3), L16), 3)) == [L16.silence] * 3
