"""A stream whose wire is decided by its peer, and how RTP marks talkspurts."""

import asyncio

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from mediaserver.wire import rtp, websocket
from mediaserver.wire.encapsulation import Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.wire import Wire
from tests.playout.pacing.frames import frame, frames, packets, source
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_framing_auto_is_settled_by_what_the_peer_says_before_the_first_frame(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(framing=Framing.AUTO))
    stream.pacer.start()
    stream.pacer.play(source(1))
    await stream.until(5)
    assert stream.transport.sent == []  # it waits at least 10 ms for the peer's word
    stream.receive(b"\x10\x01\x40" + SILENCE)
    await stream.until(25)
    assert stream.transport.messages == [websocket.binary(b"\x10\x01\x40" + frame(1))]


@in_virtual_time
async def test_framing_auto_is_raw_pcm_where_the_peer_says_nothing_and_stays_so(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(framing=Framing.AUTO))
    stream.pacer.start()
    stream.pacer.play(source(1, 2))
    await stream.until(15)
    stream.receive(b"\x10\x01\x40" + SILENCE)
    await stream.until(45)
    assert stream.transport.sent == [(11, websocket.binary(frame(1))), (31, websocket.binary(frame(2)))]


@in_virtual_time
async def test_rtp_auto_follows_the_peer_in_mid_prompt_without_losing_its_place(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(Encapsulation.RTP))
    stream.pacer.start()
    clip = Clip(b"".join(frames(1, 2, 3, 4, 5)))
    done = stream.pacer.play(Playlist([clip]))
    await stream.until(25)
    stream.receive(rtp.serialize(rtp.Packet(96, 7, 320, 0, SILENCE)))
    await stream.until(115)
    sent = packets(stream)
    assert [packet.payload_type for packet in sent] == [0, 0, 96, 96, 96, 96]
    assert [packet.payload for packet in sent[2:]] == [*frames(3, 4, 5), SILENCE]
    assert [(packet.sequence - sent[0].sequence) % 65536 for packet in sent] == [0, 1, 2, 3, 4, 5]
    assert [(packet.timestamp - sent[0].timestamp) % 2**32 for packet in sent] == [160 * n for n in range(6)]
    assert await done == PlaybackResult(5, True)


@in_virtual_time
async def test_rtp_marks_the_first_packet_of_each_talkspurt(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stream.pacer.start()
    await stream.until(25)  # two frames of silence

    async def handler() -> None:
        await stream.pacer.play(source(1, 2))
        await stream.pacer.play(source(3))  # follows at once: the talkspurt goes on
        await asyncio.sleep(0.03)
        await stream.pacer.play(source(4))

    await handler()
    assert [packet.marker for packet in packets(stream)] == [False, False, True, False, False, False, False, True]


@in_virtual_time
async def test_a_stream_that_begins_with_sound_begins_with_a_marker(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stream.pacer.play(source(1, 2))
    stream.pacer.start()
    await stream.until(45)
    assert [packet.marker for packet in packets(stream)] == [True, False, False]


@in_virtual_time
async def test_on_another_connection_sound_begins_with_a_marker(loop: VirtualLoop) -> None:
    settings = WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16)
    stream = VirtualStream(loop, settings)
    stream.pacer.start()
    stream.pacer.play(Playlist([Clip(b"".join(frames(1, 2, 3, 4)))]))
    await stream.until(25)
    stream.pacer.pause()
    stream.transport.sent.clear()
    stream.pacer.reconnect(Wire(settings), stream.transport)
    stream.pacer.start()
    await stream.until(75)
    sent = packets(stream)
    assert [packet.payload[0] for packet in sent] == [3, 4, 0]
    assert [packet.marker for packet in sent] == [True, False, False]


@in_virtual_time
async def test_a_source_without_a_frame_leaves_no_marker_on_silence(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stream.pacer.start()
    await stream.until(25)
    await stream.pacer.play(Source([]))
    await stream.until(65)
    stream.pacer.play(Source([]))
    stream.pacer.play(source(1, 2))
    await stream.until(125)
    markers = [packet.marker for packet in packets(stream)]
    assert markers.index(True) == 4
    assert markers.count(True) == 1


@in_virtual_time
async def test_the_marker_is_not_on_silence_and_not_within_a_talkspurt(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stream.pacer.start()
    await stream.until(10)
    stream.pacer.play(source(9))
    stream.pacer.cancel_all()  # before its first frame was sent
    await stream.until(30)
    stream.pacer.play(source(1, 2, 3))
    await stream.until(70)
    stream.pacer.cancel_all()
    stream.pacer.play(source(4, 5))  # in the same tick: there was no silence, but a fade
    await stream.until(130)
    sent = packets(stream)
    assert [packet.payload[0] for packet in sent] == [0, 0, 1, 2, fade_out(frame(3))[0], 4, 5]
    assert [packet.marker for packet in sent] == [False, False, True, False, False, False, False]
