"""Sound in the encoding of a wire: frame by frame, with turns of the event loop while it is made."""

import asyncio

import pytest

from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from mediaserver.playout.prompts.encoded_frames import (
    PCM_BLOCK_BYTES,
    EncodedFrames,
    FrameEncoder,
    SoundFile,
    transcode,
    transcode_lazily,
)
from mediaserver.wire.encapsulation import MESSAGE, PCM, PCMU
from tests.sound import speechlike

SAMPLES = speechlike(1000)
SOUND = EncodedFrames(tuple(PCM.packetize(to_bytes(SAMPLES))), 1000)


def test_the_memory_that_frames_take_is_theirs_and_that_of_the_interpreter() -> None:
    assert SOUND.size == 7 * (4 + FRAME_BYTES + 41)
    assert EncodedFrames((), 0).size == 0


async def test_a_sound_is_encoded_in_several_encodings_block_by_block() -> None:
    encoder = FrameEncoder((PCM, PCMU))
    assert {name: list(frames.frames) for name, frames in encoder.encoded.items()} == {"pcm": [], "pcmu": []}
    for block in (to_bytes(SAMPLES[:320]), to_bytes(SAMPLES[320:])):
        await encoder.feed_pcm(block)
    assert encoder.samples == 1000
    assert encoder.encoded["pcm"] == SOUND
    assert encoder.encoded["pcmu"] == EncodedFrames(tuple(PCMU.packetize(to_bytes(SAMPLES))), 1000)
    assert isinstance(encoder.encoded["pcm"].frames, tuple)


async def test_streams_get_a_turn_of_the_loop_after_each_block_and_encoding() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(take_turns())
    await asyncio.sleep(0)
    before = turns
    long = EncodedFrames(tuple(PCM.packetize(to_bytes(speechlike(PCM_BLOCK_BYTES + 160)))), PCM_BLOCK_BYTES + 160)
    made = await transcode(long, PCMU)
    assert turns - before == 3  # two seconds of 5 s, and a frame
    encoder = FrameEncoder((PCM, PCMU, MESSAGE))
    await encoder.feed_pcm(bytes(320))
    assert turns - before == 6
    others.cancel()
    assert list(made.frames) == PCMU.packetize(to_bytes(speechlike(PCM_BLOCK_BYTES + 160)))
    assert made.samples == long.samples


@pytest.mark.parametrize("lazily", [True, False])
async def test_frames_of_one_encoding_are_those_of_another(lazily: bool) -> None:
    """To the sample, where the first one loses nothing; the last frame's silence does not count."""
    made = transcode_lazily(SOUND, PCMU) if lazily else await transcode(SOUND, PCMU)
    assert (list(made.frames), made.samples) == (PCMU.packetize(to_bytes(SAMPLES)), 1000)
    back = transcode_lazily(made, MESSAGE, PCMU) if lazily else await transcode(made, MESSAGE, PCMU)
    assert list(back.frames) == [MESSAGE.encode(PCMU.decode(frame)) for frame in made.frames]


def test_frames_that_are_transcoded_as_they_are_played_are_a_sequence() -> None:
    frames, expected = transcode_lazily(SOUND, PCMU).frames, PCMU.packetize(to_bytes(SAMPLES))
    assert len(frames) == 7
    assert [frames[0], frames[-1]] == [expected[0], expected[-1]]
    assert list(frames[2:4]) == expected[2:4]
    assert list(frames[5:][1:]) == expected[6:]
    with pytest.raises(IndexError):
        frames[7]


def test_a_sound_file_keeps_its_pcm_and_is_transcoded_for_other_wires() -> None:
    sound = SoundFile(SOUND)
    assert sound.get_frames(PCM) is SOUND
    assert sound.samples == 1000
    assert list(sound.get_frames(PCMU).frames) == PCMU.packetize(to_bytes(SAMPLES))
