"""Sources against what they should amount to: one continuous run of samples."""

import asyncio
import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.playout.prompts.encoded_frames import BLOCK, Items, Making, SoundFile, recode, recoded
from mediaserver.playout.sources.source import (
    Clip,
    Heard,
    Interrupted,
    Playlist,
    Repeated,
    Source,
    silence,
)
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU, Encoding

ENCODINGS = [PCM, MESSAGE, PCMU, PCMA, L16]


def ramp(samples: int, start: int = 0) -> bytes:
    """Samples that all differ from their neighbours."""
    return to_bytes((np.arange(start, start + samples) * 37 % 20011 - 10000).astype(np.int16))


run_lengths = st.lists(st.integers(0, 700), min_size=1, max_size=8)


@given(lengths=run_lengths, encoding=st.sampled_from(ENCODINGS), start=st.integers(0, 12))
def test_runs_of_any_length_join_to_the_sample(lengths: list[int], encoding: Encoding, start: int) -> None:
    pcm = [ramp(length, 1000 * i) for i, length in enumerate(lengths)]
    joined = list(Playlist([Clip(each) for each in pcm]).items(encoding, start))
    assert joined == encoding.packetize(b"".join(pcm))[start:]


@given(length=st.integers(1, 700), gap=st.integers(0, 30), times=st.integers(1, 5))
def test_a_repeat_is_seamless_and_its_gaps_are_exact(length: int, gap: int, times: int) -> None:
    runs = Repeated([Clip(ramp(length))], times, silence(gap) if gap else None)
    expected = bytes(gap * 8 * 2).join([ramp(length)] * times)
    assert list(Playlist(runs).items(PCM)) == PCM.packetize(expected)


def test_several_runs_may_stand_for_one_and_are_asked_for_each_time() -> None:
    one, two, gap = Clip(ramp(100)), Clip(ramp(300)), silence(10)
    asked: list[Clip] = []

    class Two:
        def __iter__(self) -> Iterator[Clip]:
            for clip in (one, two):
                asked.append(clip)
                yield clip

    assert list(Repeated([Two(), one], 2, gap)) == [one, two, gap, one, gap, one, two, gap, one]
    assert asked == [one, two, one, two]


def test_a_lead_is_played_once_before_what_repeats() -> None:
    clips = [Clip(ramp(160, 1000 * i)) for i in range(2)]
    items = Playlist(Repeated([clips[1]], None, lead=[clips[0]])).items(PCM)
    expected = [PCM.encode(clips[0].pcm)] + [PCM.encode(clips[1].pcm)] * 4
    assert list(islice(items, 5)) == expected


def test_whole_frames_pass_as_the_very_objects_that_are_cached() -> None:
    clip = Clip(ramp(1600))
    cached = clip.open(PCM).items
    played = list(Playlist(Repeated([clip], 3)).items(PCM))
    assert len(played) == 30
    assert all(played[i] is cached[i % 10] for i in range(30))


def test_repeating_nothing_is_an_error_rather_than_an_endless_loop() -> None:
    with pytest.raises(ValueError, match="nothing to repeat"):
        Repeated([Clip(b"")], None)


def test_a_plain_source_goes_on_where_it_is_when_its_encoding_changes() -> None:
    frames = [bytes([n]) * 320 for n in range(5)]
    source = Source(frames)
    first = source.items(PCM)
    assert [next(first), next(first)] == [PCM.encode(frame) for frame in frames[:2]]
    assert list(source.items(MESSAGE, start=2)) == [MESSAGE.encode(frame) for frame in frames[2:]]


@pytest.mark.parametrize("size", [0, 319, 321, 640])
def test_a_frame_of_another_size_is_an_error(size: int) -> None:
    items = Source([bytes(320), bytes(size)]).items(PCM)
    assert next(items) == PCM.silence
    with pytest.raises(ValueError, match=rf"^a source gave a frame of {size} bytes, not 320$"):
        next(items)


def test_no_runs_are_no_frames() -> None:
    assert list(Playlist([]).items(PCM)) == []


class SlowRun:
    """A run that must be decoded first."""

    def __init__(self, pcm: bytes) -> None:
        self.samples = len(pcm) // 2
        self.future: asyncio.Future[Items] = asyncio.get_running_loop().create_future()
        self._clip = Clip(pcm)

    def open(self, encoding: Encoding) -> asyncio.Future[Items]:
        return self.future

    def decoded(self, encoding: Encoding) -> None:
        self.future.set_result(self._clip.open(encoding))


async def test_a_run_that_is_not_there_yet_is_silence_then_all_of_it() -> None:
    head, slow = Clip(ramp(320)), SlowRun(ramp(480, 5000))
    playlist = Playlist([head, slow])
    items = playlist.items(PCM)
    assert list(islice(items, 5)) == [*PCM.packetize(ramp(320)), *[PCM.encode(SILENCE)] * 3]
    slow.decoded(PCM)
    assert list(items) == PCM.packetize(ramp(480, 5000))
    assert playlist.underruns == 3


async def test_what_a_run_left_begun_is_finished_before_the_silence() -> None:
    head, slow = Clip(ramp(240)), SlowRun(ramp(160, 5000))
    items = Playlist([head, slow]).items(PCM)
    assert list(islice(items, 4)) == [*PCM.packetize(ramp(240)), *[PCM.encode(SILENCE)] * 2]
    slow.decoded(PCM)
    assert list(items) == PCM.packetize(ramp(160, 5000))


async def test_what_is_to_be_left_out_of_a_run_that_is_not_there_yet_is_left_out_when_it_is() -> None:
    head, slow = Clip(ramp(240)), SlowRun(ramp(320, 5000))
    items = Playlist([head, slow]).items(PCM, 3)  # a frame and one that is begun, and the first of what comes
    assert next(items) == PCM.silence
    slow.decoded(PCM)
    assert list(items) == PCM.packetize(ramp(320, 5000))[1:]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_single_sample_over_a_frame_is_not_lost(encoding: Encoding) -> None:
    runs = [ramp(161), ramp(1, 3000), ramp(158, 5000)]
    assert list(Playlist(map(Clip, runs)).items(encoding)) == encoding.packetize(b"".join(runs))


async def test_the_next_run_is_opened_while_one_plays() -> None:
    """So that a prompt that was evicted is decoded before its turn comes."""
    opened: list[int] = []

    class Noted(Clip):
        def open(self, encoding: Encoding) -> Items:
            opened.append(self.samples)
            return super().open(encoding)

    items = Playlist([Noted(ramp(160 * n)) for n in (2, 3, 4)]).items(PCM)
    next(items)
    assert opened == [320, 480]
    list(islice(items, 2))
    assert opened == [320, 480, 640]


async def test_a_run_that_cannot_be_decoded_breaks_the_source() -> None:
    slow = SlowRun(ramp(160))
    items = Playlist([slow]).items(PCM)
    next(items)
    slow.future.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        next(items)


@pytest.mark.parametrize("start", [0, 1, 5, 6, 7, 8, 12, 13, 30])
def test_an_announcement_interrupts_the_music_which_then_goes_on(start: int) -> None:
    music, announcement = ramp(160 * 100), ramp(400, 9000)  # two and a half frames
    source = Interrupted(Playlist([Clip(music)]), Clip(announcement), every=5)
    told = PCM.packetize(announcement)
    tune = PCM.packetize(music)
    expected = [*tune[:5], *told, *tune[5:10], *told, *tune[10:15], *told, *tune[15:20], *told, *tune[20:25]]
    assert list(islice(source.items(PCM, start), len(expected) - start)) == expected[start:]


async def test_what_is_missing_of_an_announcement_stays_counted_when_another_encoding_is_asked_for() -> None:
    announcement = SlowRun(ramp(320, 9000))
    source = Interrupted(Playlist([Clip(ramp(160 * 100))]), announcement, every=2)
    list(islice(source.items(PCM), 5))
    assert source.underruns == 3
    again = source.items(PCM, 2)  # what was silence was none of it
    assert next(again) == PCM.silence
    assert source.underruns == 4
    announcement.decoded(PCM)
    tune, told = PCM.packetize(ramp(160 * 100)), PCM.packetize(ramp(320, 9000))
    assert list(islice(again, 3)) == [*told, tune[2]]
    assert source.underruns == 4
    assert list(islice(source.items(PCM, 5), 2)) == [tune[3], told[0]]
    assert source.underruns == 4


async def test_what_is_missing_of_music_and_announcements_is_counted_once() -> None:
    music, announcement = SlowRun(ramp(160 * 100)), SlowRun(ramp(320, 9000))
    source = Interrupted(Playlist([music]), announcement, every=2)
    items = source.items(PCM)
    assert list(islice(items, 2)) == [PCM.encode(SILENCE)] * 2
    assert source.underruns == 2
    assert list(islice(items, 3)) == [PCM.encode(SILENCE)] * 3  # of the announcement
    assert source.underruns == 5
    music.decoded(PCM)
    announcement.decoded(PCM)
    tune, told = PCM.packetize(ramp(160 * 100)), PCM.packetize(ramp(320, 9000))
    assert list(islice(items, 6)) == [*told, *tune[:2], *told]
    assert source.underruns == 5
    again = source.items(PCM, 4)  # another encoding is asked for
    assert list(islice(again, 2)) == tune[2:4]
    assert source.underruns == 5


def test_what_is_left_out_at_the_beginning_of_a_playlist_is_left_out_at_each_start() -> None:
    frames = PCM.packetize(ramp(160 * 10))
    playlist = Playlist([Clip(ramp(160 * 10))], start=3)
    assert list(playlist.items(PCM)) == frames[3:]
    assert list(playlist.items(PCM, 2)) == frames[5:]


def test_silence_and_what_was_heard_are_told_in_seconds() -> None:
    assert silence(1500).samples == 12_000
    assert not any(silence(20).pcm)
    assert Heard(75, True).seconds == 1.5


@given(samples=st.integers(1, 2000), encoding=st.sampled_from(ENCODINGS))
def test_items_made_in_any_way_are_the_same(samples: int, encoding: Encoding) -> None:
    async def make() -> None:
        base = await made_of(ramp(samples), PCM)
        made, recoded_now = await recode(base, encoding), recoded(base, encoding)
        assert made == Items(tuple(encoding.packetize(ramp(samples))), samples)
        assert tuple(recoded_now.items) == made.items
        assert tuple(SoundFile(base).open(encoding).items) == made.items
        assert [recoded_now.items[-1], *recoded_now.items[:2]] == [made.items[-1], *made.items[:2]]

    asyncio.run(make())


async def made_of(pcm: bytes, encoding: Encoding) -> Items:
    making = Making((MESSAGE, encoding))
    for at in range(0, len(pcm), BLOCK):
        await making.take(pcm[at : at + BLOCK])
    return making.items[encoding.name]


async def test_a_prompt_in_memory_takes_no_more_than_a_fifth_over_the_wire() -> None:
    """Of a list, up to an eighth is room to grow; the allocator gives whole multiples of 16 bytes."""
    items = await made_of(ramp(160 * 3000), PCM)
    objects = sum(-(-sys.getsizeof(item) // 16) * 16 for item in items.items)
    assert objects + sys.getsizeof(items.items) <= 1.2 * 3000 * 324
    assert len({id(item) for item in items.items}) == 3000


async def test_size_counts_what_the_interpreter_adds() -> None:
    items = await made_of(ramp(160 * 50), PCM)
    assert items.size == 50 * (324 + 41)
    assert items.size <= 1.2 * 50 * 324
