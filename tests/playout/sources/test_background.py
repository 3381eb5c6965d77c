"""A background is heard under all that is played and alone, in every encoding, gapless, and without a click."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE, Samples, from_bytes, to_bytes
from mediaserver.playout.sources.background import Background
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Clip, PlaybackResult, Segment, Source
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import L16, MESSAGE, Carrier, Encapsulation, WireSettings
from mediaserver.wire.wire import Wire
from tests.playout.pacing.frames import PCM, ahead, packets, sent_frames
from tests.playout.pacing.test_fades import WIRES
from tests.sound import speechlike
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

FADE_IN = 20  # frames
MUSIC = (speechlike(1003) // 2).astype(np.int16)  # 6.27 frames, so that it is joined in mid-frame
SPEECH = np.clip(speechlike(1500, 2).astype(np.int32) * 2, -32_768, 32_767).astype(np.int16)  # 9.4 frames


def loop_frames(samples: Samples, count: int) -> list[bytes]:
    """The frames of a loop, by numpy alone."""
    return [to_bytes(part) for part in np.resize(samples, count * 160).reshape(-1, 160)]


def frames_of(samples: Samples) -> list[bytes]:
    padded = np.concatenate((samples, np.zeros(-len(samples) % 160, dtype=np.int16)))
    return [to_bytes(part) for part in padded.reshape(-1, 160)]


def mixed(one: bytes, other: bytes) -> bytes:
    total = from_bytes(one).astype(np.int32) + from_bytes(other)
    return to_bytes(np.clip(total, -32_768, 32_767).astype(np.int16))


def heard_of(stream: VirtualStream) -> Samples:
    return from_bytes(b"".join(frame or SILENCE for frame in sent_frames(stream)))


async def started(loop: VirtualLoop, background: Background | None, settings: WireSettings = PCM) -> VirtualStream:
    """A stream whose background is at its full level."""
    stream = VirtualStream(loop, settings)
    stream.pacer.set_background(background)
    stream.pacer.start()
    await stream.until(510)
    return stream


def plain(ducking: float = 0.0, samples: Samples = MUSIC) -> Background:
    return Background(Clip(to_bytes(samples)), ducking)


@pytest.mark.parametrize("name", WIRES)
@in_virtual_time
async def test_sound_is_mixed_to_the_bit_in_every_encoding(name: str, loop: VirtualLoop) -> None:
    settings, carrier, compared, encoded, heard = WIRES[name]
    stream = VirtualStream(loop, settings)
    stream.pacer.reconnect(Wire(settings, carrier=carrier), stream.transport)
    stream.pacer.set_background(plain())
    stream.pacer.start()
    await stream.until(510)
    first = len(stream.transport.messages)
    assert first > FADE_IN
    done = stream.pacer.play(Playlist([Clip(to_bytes(SPEECH))]))
    await stream.until(1000)
    speech = frames_of(SPEECH)
    assert done.result() == PlaybackResult(len(speech), complete=True)
    right = loop_frames(MUSIC, len(stream.transport.messages))
    for n, frame in enumerate(speech, first):
        right[n] = mixed(frame, heard(right[n]))
    assert {-32_768, 32_767} <= set(from_bytes(b"".join(right)).tolist())  # some of it is clipped
    sent = [compared(message) for message in stream.transport.messages]
    assert sent[FADE_IN:] == [encoded(frame) for frame in right][FADE_IN:]


WIDE: dict[str, Callable[[Wire], object]] = {
    "chan_websocket": lambda wire: wire.set_media_format(MediaFormat("slin16", Codec.SLIN, 16_000, 640)),
    "audiosocket/tcp": lambda wire: wire.negotiate(b"\x12\x02\x80" + bytes(640)),
}


@pytest.mark.parametrize("name", WIDE)
@in_virtual_time
async def test_a_wide_stream_gets_the_sum_at_its_own_rate(name: str, loop: VirtualLoop) -> None:
    carrier = Carrier.TCP if name == "audiosocket/tcp" else Carrier.WEBSOCKET
    streams = VirtualStream(loop, WireSettings()), VirtualStream(loop, WireSettings())
    for stream in streams:
        wire = Wire(WireSettings(), carrier=carrier)
        WIDE[name](wire)
        stream.pacer.reconnect(wire, stream.transport)
    one, other = streams
    one.pacer.set_background(plain())
    one.pacer.play(Source(frames_of(SPEECH) * 5))
    music = loop_frames(MUSIC, 50)
    for n in range(FADE_IN):
        gain = (n * 160 + np.arange(1, 161)) / (FADE_IN * 160)
        music[n] = to_bytes(np.rint(from_bytes(music[n]) * gain).astype(np.int16))
    other.pacer.play(Source(list(map(mixed, frames_of(SPEECH) * 5, music))))
    for stream in streams:
        stream.pacer.start()
    await one.until(990)
    assert len(one.transport.messages) >= 49
    difference = [
        np.frombuffer(b"".join(message[-640:] for message in stream.transport.messages), "<i2").astype(int)
        for stream in streams
    ]
    assert len(difference[0]) == len(one.transport.messages) * 320
    assert np.abs(difference[0] - difference[1]).max() <= 2  # a ramp's rounding, at most


@in_virtual_time
async def test_alone_it_is_the_messages_that_are_kept(loop: VirtualLoop) -> None:
    clip = Clip(to_bytes(speechlike(1600)))
    stream = await started(loop, Background(clip, 10.0))
    kept = {id(message) for encoded in clip._encoded.values() for message in encoded.frames}
    messages = stream.transport.messages
    assert len(messages) > FADE_IN
    assert {id(message) for message in messages[FADE_IN:]} <= kept
    assert not {id(message) for message in messages[:FADE_IN]} & kept


@in_virtual_time
async def test_it_goes_on_while_sources_come_and_go_and_observers_watch(loop: VirtualLoop) -> None:
    stream = await started(loop, plain())
    observed: list[bytes] = []
    with stream.pacer.observe(lambda encoding, frame: observed.append(encoding.decode(frame))):
        watched = len(stream.transport.messages)
        for at in range(600, 1000, 50):
            stream.pacer.play(Source(frames_of(SPEECH)[:1]))
            await stream.until(at)
    end = len(stream.transport.messages)
    await stream.until(1200)
    sent = [frame or SILENCE for frame in sent_frames(stream)]
    assert observed == sent[watched:end]  # a recording has what was heard
    music = loop_frames(MUSIC, len(sent))
    together = [mixed(frames_of(SPEECH)[0], frame) for frame in music]
    assert all(
        frame in pair for frame, *pair in zip(sent[FADE_IN:], music[FADE_IN:], together[FADE_IN:], strict=True)
    )
    assert sum(frame == other for frame, other in zip(sent, together, strict=True)) == 8


@in_virtual_time
async def test_what_is_cleared_fades_out_while_the_background_goes_on(loop: VirtualLoop) -> None:
    stream = await started(loop, plain())
    first = len(stream.transport.messages)
    done = stream.pacer.play(Playlist([Clip(to_bytes(SPEECH))]))
    await stream.until(570)
    cleared = len(stream.transport.messages)
    assert cleared == first + 3
    stream.pacer.cancel_all()
    await stream.until(700)
    assert done.result() == PlaybackResult(3, complete=False)
    right = loop_frames(MUSIC, len(stream.transport.messages))
    for n, frame in enumerate([*frames_of(SPEECH)[:3], fade_out(frames_of(SPEECH)[3])], first):
        right[n] = mixed(frame, right[n])
    assert sent_frames(stream)[FADE_IN:] == right[FADE_IN:]


def sine(hertz: float, peak: float, samples: int = 8000) -> Samples:
    return np.rint(peak * np.sin(2 * np.pi * hertz * np.arange(samples) / 8000)).astype(np.int16)


def steepest(*sines: tuple[float, float]) -> float:
    return sum(2 * peak * np.sin(np.pi * hertz / 8000) for hertz, peak in sines)


@in_virtual_time
async def test_it_is_lowered_under_speech_and_comes_back_without_a_click(loop: VirtualLoop) -> None:
    stream = await started(loop, plain(20.0, sine(200, 8000)))
    first = len(stream.transport.messages) * 160
    stream.pacer.play(Playlist([Clip(to_bytes(sine(300, 8000)))]))
    await stream.until(2990)
    heard = heard_of(stream).astype(float)
    music = np.resize(sine(200, 8000), len(heard)).astype(float)
    heard[first : first + 8000] -= sine(300, 8000)
    levels = np.sqrt((heard.reshape(-1, 160) ** 2).mean(1) / (music.reshape(-1, 160) ** 2).mean(1))[first // 160 :]
    assert levels[5:65] == pytest.approx(0.1, abs=0.001)  # the second of speech, and 300 ms more
    assert (np.diff(levels[64:85]) > 0).sum() >= 18
    assert levels[85:] == pytest.approx(1.0)
    assert np.abs(np.diff(heard)).max() <= steepest((200, 8000)) + 8000 / 5 / 160 + 2


@in_virtual_time
async def test_silence_of_a_source_without_end_does_not_keep_it_low(loop: VirtualLoop) -> None:
    stream = await started(loop, plain(20.0, sine(200, 8000)))
    buffer = PlayoutBuffer()
    stream.pacer.play(buffer)
    buffer.push_audio(to_bytes(sine(300, 8000, 1600)))
    await stream.until(2000)
    heard = heard_of(stream)
    assert (heard[-3200:] == np.resize(sine(200, 8000), len(heard))[-3200:]).all()


@pytest.mark.parametrize("speaks", [False, True])
@in_virtual_time
async def test_one_background_follows_another_without_a_click(loop: VirtualLoop, speaks: bool) -> None:
    stream = await started(loop, plain(0.0, sine(200, 8000)))
    if speaks:
        stream.pacer.play(Playlist([Clip(to_bytes(sine(300, 8000, 16_000)))]))
    await stream.until(600)
    stream.pacer.set_background(plain(0.0, sine(250, 8000)))
    await stream.until(1200)
    heard = heard_of(stream).astype(float)
    other = steepest((300, 8000)) if speaks else 0
    assert np.abs(np.diff(heard)).max() <= other + steepest((250, 8000)) + 8000 * np.pi / 2 / 40 + 20
    stream.pacer.set_background(None)
    before = len(stream.transport.messages)
    await stream.until(1400)
    heard = heard_of(stream).astype(float)
    assert np.abs(np.diff(heard)).max() <= other + steepest((250, 8000)) + 8000 * np.pi / 2 / 40 + 20
    after = heard[before * 160 + 40 :]
    speech = from_bytes(b"".join(loop_frames(sine(300, 8000, 16_000), 200)))
    assert (after == (speech[(before - 26) * 160 :][40 : 40 + len(after)] if speaks else 0)).all()


@in_virtual_time
async def test_while_the_stream_is_held_it_waits_as_all_else(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    stream.pacer.set_background(plain())
    stream.pacer.hold()
    stream.pacer.start()
    await stream.until(110)
    silent = len(stream.transport.messages)
    assert set(sent_frames(stream)) == {None}
    stream.pacer.release()
    await stream.until(800)
    sent = sent_frames(stream)[silent:]
    assert sent[FADE_IN:] == loop_frames(MUSIC, len(sent))[FADE_IN:]


@in_virtual_time
async def test_after_a_lost_connection_it_goes_on_where_it_was_in_the_new_encoding(loop: VirtualLoop) -> None:
    stream = await started(loop, plain())
    stream.pacer.pause()
    before = len(stream.transport.messages)
    stream.pacer.reconnect(Wire(WIRES["audiosocket/message"][0]), stream.transport)
    stream.pacer.start()
    await stream.until(800)
    sent = [message[-320:] for message in stream.transport.messages]
    assert len(sent) > before + 10
    assert sent[FADE_IN:] == loop_frames(MUSIC, len(sent))[FADE_IN:]


@in_virtual_time
async def test_rtp_marks_its_beginning_only(loop: VirtualLoop) -> None:
    stream = await started(loop, plain(), WireSettings(Encapsulation.RTP))
    stream.pacer.play(Source(frames_of(SPEECH)))
    await stream.until(1000)
    assert [packet.marker for packet in packets(stream)] == [True] + [False] * (len(packets(stream)) - 1)


class Pending:
    """Frames that are made once `late` is set."""

    def __init__(self, clip: Clip) -> None:
        self.clip, self.late, self.samples = clip, False, clip.samples

    def get_frames(self, encoding):
        frames = self.clip.get_frames(encoding)

        class Frames:
            done = staticmethod(lambda: self.late)
            result = staticmethod(lambda: frames)

        return Frames()


@in_virtual_time
async def test_it_fades_in_from_its_beginning_where_its_frames_come_late(loop: VirtualLoop) -> None:
    pending = Pending(Clip(to_bytes(MUSIC)))
    segment: Segment = pending
    stream = await started(loop, Background(segment, 0.0))
    first = len(stream.transport.messages)
    stream.pacer.play(Source(frames_of(SPEECH)))
    await stream.until(800)
    silent = len(stream.transport.messages)
    assert sent_frames(stream) == [
        *[None] * first,
        *frames_of(SPEECH),
        *[None] * (silent - first - len(frames_of(SPEECH))),
    ]
    pending.late = True
    await stream.until(1500)
    sent = sent_frames(stream)[silent:]
    assert abs(from_bytes(sent[0] or b"")[0]) <= 3  # softly
    assert sent[FADE_IN:] == loop_frames(MUSIC, len(sent))[FADE_IN:]


def test_a_loop_goes_on_at_any_frame_without_playing_all_before_it() -> None:
    background = plain()
    taken = [L16.decode(frame) for frame in islice(background.play(L16), 5000)]
    assert taken[FADE_IN:] == loop_frames(MUSIC, 5000)[FADE_IN:]
    again = [MESSAGE.decode(frame) for frame in islice(background.play(MESSAGE), 20)]
    assert again == loop_frames(MUSIC, 5020)[5000:]
