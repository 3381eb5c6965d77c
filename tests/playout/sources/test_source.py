"""Sources give one continuous run of samples."""

import asyncio
import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.playout.prompts.encoded_frames import (
    PCM_BLOCK_BYTES,
    EncodedFrames,
    FrameEncoder,
    SoundFile,
    transcode,
    transcode_lazily,
)
from mediaserver.playout.sources.playlist import MusicWithAnnouncements, Playlist, Repeated
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source, silence
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU, Encoding

ENCODINGS = [PCM, MESSAGE, PCMU, PCMA, L16]


def ramp(samples: int, start: int = 0) -> bytes:
    """PCM whose samples all differ from their neighbours."""
    return to_bytes((np.arange(start, start + samples) * 37 % 20011 - 10000).astype(np.int16))


segment_lengths = st.lists(st.integers(0, 700), min_size=1, max_size=8)


@given(lengths=segment_lengths, encoding=st.sampled_from(ENCODINGS), start=st.integers(0, 12))
def test_segments_of_any_length_join_gaplessly_to_the_sample(
    lengths: list[int], encoding: Encoding, start: int
) -> None:
    pcm = [ramp(length, 1000 * i) for i, length in enumerate(lengths)]
    joined = list(Playlist([Clip(each) for each in pcm]).iter_frames(encoding, start))
    assert joined == encoding.packetize(b"".join(pcm))[start:]


@given(length=st.integers(1, 700), gap=st.integers(0, 30), times=st.integers(1, 5))
def test_a_repeat_is_seamless_and_its_gaps_are_exact(length: int, gap: int, times: int) -> None:
    repeated = Repeated([Clip(ramp(length))], times, silence(gap) if gap else None)
    expected = bytes(gap * 8 * 2).join([ramp(length)] * times)
    assert list(Playlist(repeated).iter_frames(PCM)) == PCM.packetize(expected)


def test_an_iterable_may_stand_for_one_segment_and_is_iterated_each_time() -> None:
    one, two, gap = Clip(ramp(100)), Clip(ramp(300)), silence(10)
    asked: list[Clip] = []

    class Two:
        def __iter__(self) -> Iterator[Clip]:
            for clip in (one, two):
                asked.append(clip)
                yield clip

    assert list(Repeated([Two(), one], 2, gap)) == [one, two, gap, one, gap, one, two, gap, one]
    assert asked == [one, two, one, two]


def test_an_intro_is_played_once_before_the_repeated_segments() -> None:
    clips = [Clip(ramp(160, 1000 * i)) for i in range(2)]
    frames = Playlist(Repeated([clips[1]], None, intro=[clips[0]])).iter_frames(PCM)
    expected = [PCM.encode(clips[0].pcm)] + [PCM.encode(clips[1].pcm)] * 4
    assert list(islice(frames, 5)) == expected


def test_whole_frames_are_the_cached_objects_themselves() -> None:
    clip = Clip(ramp(1600))
    cached = clip.get_frames(PCM).frames
    played = list(Playlist(Repeated([clip], 3)).iter_frames(PCM))
    assert len(played) == 30
    assert all(played[i] is cached[i % 10] for i in range(30))


@pytest.mark.parametrize("times", [3, None])
def test_repeating_what_is_empty_ends_after_the_intro(times: int | None) -> None:
    intro = Clip(ramp(160))
    assert list(Repeated([Clip(b"")], times, silence(20), [intro])) == [intro]


def test_a_plain_source_goes_on_where_it_is_when_its_encoding_changes() -> None:
    frames = [bytes([n]) * 320 for n in range(5)]
    source = Source(frames)
    first = source.iter_frames(PCM)
    assert [next(first), next(first)] == [PCM.encode(frame) for frame in frames[:2]]
    assert list(source.iter_frames(MESSAGE, start=2)) == [MESSAGE.encode(frame) for frame in frames[2:]]


@pytest.mark.parametrize("size", [0, 319, 321, 640])
def test_a_frame_of_another_size_is_an_error(size: int) -> None:
    frames = Source([bytes(320), bytes(size)]).iter_frames(PCM)
    assert next(frames) == PCM.silence
    with pytest.raises(ValueError, match=rf"^a source gave a frame of {size} bytes, not 320$"):
        next(frames)


def test_a_playlist_without_segments_has_no_frames() -> None:
    assert list(Playlist([]).iter_frames(PCM)) == []


class PendingSegment:
    """A segment whose file must be decoded first."""

    def __init__(self, pcm: bytes) -> None:
        self.samples = len(pcm) // 2
        self.future: asyncio.Future[EncodedFrames] = asyncio.get_running_loop().create_future()
        self._clip = Clip(pcm)

    def get_frames(self, encoding: Encoding) -> asyncio.Future[EncodedFrames]:
        return self.future

    def decoded(self, encoding: Encoding) -> None:
        self.future.set_result(self._clip.get_frames(encoding))


async def test_a_segment_that_is_not_decoded_yet_is_silence_then_all_of_it() -> None:
    head, slow = Clip(ramp(320)), PendingSegment(ramp(480, 5000))
    playlist = Playlist([head, slow])
    frames = playlist.iter_frames(PCM)
    assert list(islice(frames, 5)) == [*PCM.packetize(ramp(320)), *[PCM.encode(SILENCE)] * 3]
    slow.decoded(PCM)
    assert list(frames) == PCM.packetize(ramp(480, 5000))
    assert playlist.underruns == 3


async def test_a_partial_frame_is_completed_before_the_silence() -> None:
    head, slow = Clip(ramp(240)), PendingSegment(ramp(160, 5000))
    frames = Playlist([head, slow]).iter_frames(PCM)
    assert list(islice(frames, 4)) == [*PCM.packetize(ramp(240)), *[PCM.encode(SILENCE)] * 2]
    slow.decoded(PCM)
    assert list(frames) == PCM.packetize(ramp(160, 5000))


async def test_frames_to_skip_of_a_segment_that_is_not_decoded_yet_are_skipped_later() -> None:
    head, slow = Clip(ramp(240)), PendingSegment(ramp(320, 5000))
    frames = Playlist([head, slow]).iter_frames(
        PCM, 3
    )  # a frame and one that is begun, and the first of what comes
    assert next(frames) == PCM.silence
    slow.decoded(PCM)
    assert list(frames) == PCM.packetize(ramp(320, 5000))[1:]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_single_sample_over_a_frame_is_not_lost(encoding: Encoding) -> None:
    runs = [ramp(161), ramp(1, 3000), ramp(158, 5000)]
    assert list(Playlist(map(Clip, runs)).iter_frames(encoding)) == encoding.packetize(b"".join(runs))


async def test_the_next_segment_is_asked_for_while_one_plays() -> None:
    """So that a prompt that was evicted is decoded before its turn comes."""
    asked: list[int] = []

    class Recording(Clip):
        def get_frames(self, encoding: Encoding) -> EncodedFrames:
            asked.append(self.samples)
            return super().get_frames(encoding)

    frames = Playlist([Recording(ramp(160 * n)) for n in (2, 3, 4)]).iter_frames(PCM)
    next(frames)
    assert asked == [320, 480]
    list(islice(frames, 2))
    assert asked == [320, 480, 640]


async def test_a_segment_that_cannot_be_decoded_fails_the_source() -> None:
    slow = PendingSegment(ramp(160))
    frames = Playlist([slow]).iter_frames(PCM)
    next(frames)
    slow.future.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        next(frames)


@pytest.mark.parametrize("start", [0, 1, 5, 6, 7, 8, 12, 13, 30])
def test_an_announcement_interrupts_the_music_which_then_goes_on(start: int) -> None:
    music, announcement = ramp(160 * 100), ramp(400, 9000)  # two and a half frames
    source = MusicWithAnnouncements(Playlist([Clip(music)]), Clip(announcement), every=5)
    notice = PCM.packetize(announcement)
    tune = PCM.packetize(music)
    expected = [
        *tune[:5],
        *notice,
        *tune[5:10],
        *notice,
        *tune[10:15],
        *notice,
        *tune[15:20],
        *notice,
        *tune[20:25],
    ]
    assert list(islice(source.iter_frames(PCM, start), len(expected) - start)) == expected[start:]


async def test_underruns_of_an_announcement_stay_counted_when_the_encoding_changes() -> None:
    announcement = PendingSegment(ramp(320, 9000))
    source = MusicWithAnnouncements(Playlist([Clip(ramp(160 * 100))]), announcement, every=2)
    list(islice(source.iter_frames(PCM), 5))
    assert source.underruns == 3
    again = source.iter_frames(PCM, 2)  # what was silence was none of it
    assert next(again) == PCM.silence
    assert source.underruns == 4
    announcement.decoded(PCM)
    tune, notice = PCM.packetize(ramp(160 * 100)), PCM.packetize(ramp(320, 9000))
    assert list(islice(again, 3)) == [*notice, tune[2]]
    assert source.underruns == 4
    assert list(islice(source.iter_frames(PCM, 5), 2)) == [tune[3], notice[0]]
    assert source.underruns == 4


async def test_underruns_of_music_and_announcements_are_counted_once() -> None:
    music, announcement = PendingSegment(ramp(160 * 100)), PendingSegment(ramp(320, 9000))
    source = MusicWithAnnouncements(Playlist([music]), announcement, every=2)
    frames = source.iter_frames(PCM)
    assert list(islice(frames, 2)) == [PCM.encode(SILENCE)] * 2
    assert source.underruns == 2
    assert list(islice(frames, 3)) == [PCM.encode(SILENCE)] * 3  # of the announcement
    assert source.underruns == 5
    music.decoded(PCM)
    announcement.decoded(PCM)
    tune, notice = PCM.packetize(ramp(160 * 100)), PCM.packetize(ramp(320, 9000))
    assert list(islice(frames, 6)) == [*notice, *tune[:2], *notice]
    assert source.underruns == 5
    again = source.iter_frames(PCM, 4)  # another encoding is asked for
    assert list(islice(again, 2)) == tune[2:4]
    assert source.underruns == 5


def test_frames_skipped_at_the_beginning_of_a_playlist_are_skipped_at_each_start() -> None:
    frames = PCM.packetize(ramp(160 * 10))
    playlist = Playlist([Clip(ramp(160 * 10))], start=3)
    assert list(playlist.iter_frames(PCM)) == frames[3:]
    assert list(playlist.iter_frames(PCM, 2)) == frames[5:]


def test_silence_and_playback_results_have_durations() -> None:
    assert silence(1500).samples == 12_000
    assert not any(silence(20).pcm)
    assert PlaybackResult(75, True).seconds == 1.5


@given(samples=st.integers(1, 2000), encoding=st.sampled_from(ENCODINGS))
def test_frames_encoded_or_transcoded_in_any_way_are_the_same(samples: int, encoding: Encoding) -> None:
    async def make() -> None:
        base = await encoded(ramp(samples), PCM)
        made, lazy = await transcode(base, encoding), transcode_lazily(base, encoding)
        assert made == EncodedFrames(tuple(encoding.packetize(ramp(samples))), samples)
        assert tuple(lazy.frames) == made.frames
        assert tuple(SoundFile(base).get_frames(encoding).frames) == made.frames
        assert [lazy.frames[-1], *lazy.frames[:2]] == [made.frames[-1], *made.frames[:2]]

    asyncio.run(make())


async def encoded(pcm: bytes, encoding: Encoding) -> EncodedFrames:
    encoder = FrameEncoder((MESSAGE, encoding))
    for at in range(0, len(pcm), PCM_BLOCK_BYTES):
        await encoder.feed_pcm(pcm[at : at + PCM_BLOCK_BYTES])
    return encoder.encoded[encoding.name]


async def test_a_prompt_in_memory_takes_no_more_than_a_fifth_over_the_wire() -> None:
    """Of a list, up to an eighth is room to grow; the allocator gives whole multiples of 16 bytes."""
    frames = await encoded(ramp(160 * 3000), PCM)
    objects = sum(-(-sys.getsizeof(frame) // 16) * 16 for frame in frames.frames)
    assert objects + sys.getsizeof(frames.frames) <= 1.2 * 3000 * 324
    assert len({id(frame) for frame in frames.frames}) == 3000


async def test_the_size_includes_the_overhead_of_the_interpreter() -> None:
    frames = await encoded(ramp(160 * 50), PCM)
    assert frames.size == 50 * (324 + 41)
    assert frames.size <= 1.2 * 50 * 324


def test_what_plays_is_told_by_its_name() -> None:
    segments = [Clip(ramp(400), "one"), Clip(ramp(160), "two"), silence(20), Clip(ramp(160))]
    playlist = Playlist(segments)
    assert playlist.playing == ""
    names = [playlist.playing for _ in playlist.iter_frames(PCM)]
    assert names == ["one", "one", "two", "", "sound", "sound"]  # the third frame has samples of both
    next(playlist.iter_frames(PCM, 3))
    assert playlist.playing == ""
    source = MusicWithAnnouncements(Playlist([Clip(ramp(1600), "tune")]), Clip(ramp(320), "notice"), every=2)
    assert [source.playing for _ in islice(source.iter_frames(PCM), 6)] == [
        *["tune"] * 2,
        *["notice"] * 2,
        *["tune"] * 2,
    ]
    assert Source([SILENCE]).playing == "sound"
