"""What is stopped fades out in one frame, in every encoding, and is neither heard nor counted otherwise."""

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mediaserver.audio import g711, noise, tones
from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import FRAME_BYTES, SILENCE, from_bytes, to_bytes
from mediaserver.playout.sources.live import LiveSource
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from mediaserver.playout.sources.tones import ToneCache
from mediaserver.wire import rtp
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import Carrier, Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.wire import Wire
from tests.playout.pacing.frames import PCM, ahead, frame, frames, sent_frames, source
from tests.virtual import FakeTransport, VirtualLoop, VirtualStream, in_virtual_time

SINE = np.rint(32_767 * np.sin(2 * np.pi * np.arange(8000) / 8)).astype(np.int16)  # full scale, 1 kHz, a second
FRAMES = [to_bytes(part) for part in SINE.reshape(-1, 160)]
STEEPEST = 32_768 * (2 * np.sin(np.pi / 8) + np.pi / 2 / 40)  # of the sine, and of the fade on top


def whole(message: bytes) -> bytes:
    return message


def payload(message: bytes) -> bytes:
    return rtp.parse(message[2:] if message[1] < 126 else message[4:]).payload


def mulaw(pcm: bytes) -> bytes:
    return g711.mulaw_encode(from_bytes(pcm))


def alaw(pcm: bytes) -> bytes:
    return g711.alaw_encode(from_bytes(pcm))


def mulaw_heard(pcm: bytes) -> bytes:
    return to_bytes(g711.mulaw_decode(mulaw(pcm)))


def alaw_heard(pcm: bytes) -> bytes:
    return to_bytes(g711.alaw_decode(alaw(pcm)))


RTP = Encapsulation.RTP
WIRES: dict[
    str, tuple[WireSettings, Carrier, Callable[[bytes], bytes], Callable[..., bytes], Callable[..., bytes]]
]
WIRES = {
    # name: settings, carrier, what of a message is compared, the right bytes of a frame, what is heard of it
    "audiosocket/pcm": (PCM, Carrier.WEBSOCKET, whole, lambda pcm: b"\x82\x7e\x01\x40" + pcm, bytes),
    "audiosocket/message": (
        WireSettings(framing=Framing.MESSAGE),
        *(Carrier.WEBSOCKET, whole, lambda pcm: b"\x82\x7e\x01\x43\x10\x01\x40" + pcm, bytes),
    ),
    "audiosocket/tcp": (WireSettings(), Carrier.TCP, whole, lambda pcm: b"\x10\x01\x40" + pcm, bytes),
    "sln": (
        WireSettings(Encapsulation.SLN),
        *(Carrier.WEBSOCKET, whole, lambda pcm: b"\x82\x7e\x01\x40" + pcm, bytes),
    ),
    "rtp/l16": (WireSettings(RTP, rtp_payload=RtpPayload.L16), Carrier.WEBSOCKET, payload, bytes, bytes),
    "rtp/pcmu": (WireSettings(RTP, rtp_payload=RtpPayload.PCMU), Carrier.WEBSOCKET, payload, mulaw, mulaw_heard),
    "rtp/pcma": (WireSettings(RTP, rtp_payload=RtpPayload.PCMA), Carrier.WEBSOCKET, payload, alaw, alaw_heard),
}


@pytest.mark.parametrize("name", WIRES)
@in_virtual_time
async def test_a_cleared_prompt_fades_out_in_the_next_frame(name: str, loop: VirtualLoop) -> None:
    """The prompt's messages are ready-made. What is faded is what the encoding leaves of the sound."""
    settings, carrier, compared, encoded, heard = WIRES[name]
    stream = VirtualStream(loop, settings)
    stream.pacer.reconnect(Wire(settings, carrier=carrier), stream.transport)
    stream.pacer.start()
    done = stream.pacer.play(Playlist([Clip(to_bytes(SINE))]))
    await stream.until(90)
    stream.pacer.cancel_all()
    assert done.result() == PlaybackResult(len(stream.transport.sent), complete=False)
    await stream.until(170)
    sent = [compared(message) for message in stream.transport.messages]
    right = [*FRAMES[:5], fade_out(heard(FRAMES[5])), SILENCE, SILENCE, SILENCE]
    assert sent == [encoded(pcm) for pcm in right][: len(sent)]
    assert len(sent) in (8, 9)  # a peer whose framing decides ours is waited for
    assert stream.pacer.frames == stream.ticker.frames == len(sent)
    samples = from_bytes(b"".join(heard(pcm) for pcm in right)).astype(float)
    coarse = 1024 if heard is not bytes else 0  # a loud step of G.711
    assert abs(np.diff(samples)).max() <= STEEPEST + coarse
    assert abs(np.diff(samples[800:])).max() > 0  # the fade is not silence


@in_virtual_time
async def test_sound_at_another_rate_fades_out_as_well(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings())
    stream.wire.set_media_format(MediaFormat("slin16", Codec.SLIN, 16_000, 640))
    stream.pacer.start()
    stream.pacer.play(Playlist([Clip(to_bytes(SINE))]))
    await stream.until(90)
    stream.pacer.cancel_all()
    await stream.until(170)
    samples = from_bytes(b"".join(message[4:] for message in stream.transport.messages)).astype(float)
    assert abs(np.diff(samples)).max() <= 32_768 * (2 * np.sin(np.pi / 16) + np.pi / 2 / 80) * 1.1
    assert not samples[-640:].any()


def pushed(buffer: LiveSource | PlayoutBuffer) -> Source:
    buffer.push_audio(to_bytes(SINE[:1600]))
    return buffer


SOURCES: dict[str, Callable[[], Source]] = {
    "a live source": lambda: pushed(LiveSource()),
    "a playout buffer": lambda: pushed(PlayoutBuffer()),
    "a tone": lambda: Playlist(ToneCache(10**6).get(tones.parse("425", -3.0)).repeat),
    "noise": lambda: Playlist(Repeated([Clip(to_bytes(noise.render(-20.0)))], None)),
    "frames of one's own": lambda: Source(iter(FRAMES)),
}


@pytest.mark.parametrize("name", SOURCES)
@in_virtual_time
async def test_every_kind_of_source_fades_out(name: str, loop: VirtualLoop) -> None:
    undisturbed, stream = VirtualStream(loop, PCM), VirtualStream(loop, PCM)
    for each in (undisturbed, stream):
        each.pacer.start()
        each.pacer.play(SOURCES[name]())
    await stream.until(90)
    stream.pacer.cancel_all()
    await stream.until(150)
    right = sent_frames(undisturbed)
    assert None not in right
    assert sent_frames(stream) == [*right[:5], fade_out(right[5] or b""), None, None]


# -- what counts as played -------------------------------------------------------------------------


@in_virtual_time
async def test_a_fade_counts_as_sent_but_not_as_played(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    observed: list[bytes] = []
    with stream.pacer.observe(lambda encoding, encoded: observed.append(encoding.decode(encoded))):
        stream.pacer.start()
        first, second = stream.pacer.play(source(*range(1, 50))), stream.pacer.play(source(7, 8))
        await stream.until(25)
        stream.pacer.cancel(first)
        assert await second == PlaybackResult(2, complete=True)
        assert first.result() == PlaybackResult(4, complete=False)
        await stream.until(110)
    assert observed == [*frames(1, 2, 3, 4), fade_out(frame(5)), *frames(7, 8), SILENCE]
    assert stream.pacer.frames == stream.ticker.frames == 8


@in_virtual_time
async def test_a_fade_is_not_cleared_itself(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.pacer.play(source(1, 2, 3, 4))
    await stream.until(30)
    stream.pacer.cancel_all()
    after = stream.pacer.play(source(9))
    stream.pacer.cancel_all()
    await stream.until(75)
    assert sent_frames(stream) == [*frames(1, 2), fade_out(frame(3)), None]
    assert await after == PlaybackResult(0, complete=False)


@in_virtual_time
async def test_what_was_not_heard_or_is_over_has_no_fade(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    await stream.until(10)
    stream.pacer.play(source(1, 2))
    stream.pacer.cancel_all()  # before its first frame
    await stream.until(30)
    stream.pacer.play(source(3))
    await stream.until(50)
    stream.pacer.cancel_all()  # after its last one
    stream.pacer.play(Source([frame(4), SILENCE, frame(5)]))
    await stream.until(70)
    stream.pacer.cancel_all()  # before silence
    stream.pacer.play(source(6))
    await stream.until(90)
    assert sent_frames(stream) == [None, None, frame(3), frame(4), frame(6)]


@in_virtual_time
async def test_a_broken_source_that_is_cleared_has_no_fade(loop: VirtualLoop) -> None:
    def breaking() -> Iterator[bytes]:
        yield frame(1)
        raise ZeroDivisionError

    for broken in (Source(breaking()), Source(iter([frame(1), b"odd"]))):
        stream = VirtualStream(loop, PCM)
        stream.pacer.start()
        done = stream.pacer.play(broken)
        await asyncio.sleep(0.01)
        stream.pacer.cancel_all()
        assert await done == PlaybackResult(1, complete=False)
        await asyncio.sleep(0.02)
        assert sent_frames(stream) == [frame(1), None]
        stream.pacer.stop()


# -- other things that happen meanwhile ------------------------------------------------------------


@in_virtual_time
async def test_a_far_end_that_drops_its_queue_gets_no_fade(loop: VirtualLoop) -> None:
    """Nobody knows at which sample it stopped."""
    stream = VirtualStream(loop, ahead(2))
    stream.pacer.flush_peer = lambda: True
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 50)))
    await stream.until(45)
    stream.pacer.cancel_all()
    assert await done == PlaybackResult(3, complete=False)
    await stream.until(65)
    assert sent_frames(stream) == [*frames(1, 2, 3, 4, 5), None, None, None]


@in_virtual_time
async def test_a_fade_is_not_heard_on_the_next_connection(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.pacer.play(source(1, 2, 3, 4))
    await stream.until(30)
    stream.pacer.cancel_all()
    stream.pacer.play(source(8))
    stream.pacer.pause()
    again = FakeTransport(loop)
    stream.pacer.reconnect(Wire(PCM), again)
    stream.pacer.start()
    await stream.until(75)
    assert [message[4:] for message in again.messages][:2] == [frame(8), SILENCE]


@in_virtual_time
async def test_a_fade_keeps_up_with_a_change_of_the_encoding(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(RTP))
    stream.pacer.start()
    stream.pacer.play(Playlist([Clip(to_bytes(SINE))]))
    await stream.until(30)
    stream.pacer.cancel_all()
    stream.receive(rtp.serialize(rtp.Packet(rtp.PayloadType.PCMA, 1, 0, 0, alaw(SILENCE))))
    await stream.until(50)
    sent = [payload(message) for message in stream.transport.messages]
    assert sent == [mulaw(FRAMES[0]), mulaw(FRAMES[1]), alaw(fade_out(mulaw_heard(FRAMES[2])))]


@in_virtual_time
async def test_a_stopped_stream_takes_no_frame_of_its_source(loop: VirtualLoop) -> None:
    stream, live = VirtualStream(loop, PCM), LiveSource()
    live.push_audio(b"".join(frames(1, 2, 3)))
    stream.pacer.start()
    stream.pacer.play(live)
    await stream.until(30)
    stream.pacer.stop()
    assert next(live.iter_frames(Wire(PCM).encoding))[4:] == frame(3)


def test_a_playout_buffer_fades_what_plays_and_nothing_else() -> None:
    buffer, encoding = PlayoutBuffer(delay_ms=40), Wire(PCM).encoding
    taken = map(encoding.decode, buffer.iter_frames(encoding))
    buffer.push_audio(frame(1))
    assert next(taken) == SILENCE
    buffer.clear()  # it was held back
    assert next(taken) == SILENCE
    buffer.push_audio(b"".join(frames(1, 2)) + b"\3" * 100)
    assert next(taken) == frame(1)
    buffer.clear()
    buffer.push_audio(frame(4))  # it waits for its delay, which the fade does not shorten
    assert [next(taken) for _ in range(4)] == [fade_out(frame(2)), SILENCE, SILENCE, frame(4)]
    buffer.push_audio(frame(5) + b"\6" * 100)
    assert next(taken) == frame(5)
    buffer.clear()  # less than a frame
    buffer.clear()
    assert next(taken) == fade_out((b"\6" * 100).ljust(FRAME_BYTES, b"\0"))
    assert next(taken) == SILENCE
