"""Gain and mute of all that a stream sends: exact, under virtual time, in every encoding."""

import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, from_bytes, to_bytes
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.encapsulation import Encapsulation, Encoding, Framing, RtpPayload, WireSettings
from tests.playout.pacing.frames import PCM, packets
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

SOUND = np.repeat(np.arange(1, 41, dtype=np.int16) * 700, 160)  # 40 frames, the loudest at 28 000
FRAMES = [to_bytes(frame) for frame in SOUND.reshape(-1, 160)]
RAMP = np.arange(1, 161) / 160
HALF = 0.5
WIRES = {
    "pcm": PCM,
    "message": WireSettings(framing=Framing.MESSAGE),
    "sln": WireSettings(encapsulation=Encapsulation.SLN),
    "pcmu": WireSettings(encapsulation=Encapsulation.RTP, rtp_payload=RtpPayload.PCMU),
    "pcma": WireSettings(encapsulation=Encapsulation.RTP, rtp_payload=RtpPayload.PCMA),
    "l16": WireSettings(encapsulation=Encapsulation.RTP, rtp_payload=RtpPayload.L16),
}


def as_sent(pcm: bytes, encoding: Encoding) -> bytes:
    """PCM after it was encoded and decoded."""
    return encoding.decode(encoding.encode(pcm))


def ramped(frame: bytes, start: float, end: float) -> bytes:
    amplified = np.rint(from_bytes(frame) * (start + (end - start) * RAMP))
    return to_bytes(np.clip(amplified, -32768, 32767).astype(np.int16))


def scaled(frame: bytes, factor: float) -> bytes:
    return to_bytes(np.floor(np.clip(from_bytes(frame) * factor, -32768, 32767)).astype(np.int16))


class Playing:
    """A stream that plays the sound, and the PCM of each frame as it was sent."""

    def __init__(self, loop: VirtualLoop, wire: WireSettings = PCM) -> None:
        self.clip = Clip(to_bytes(SOUND))
        self.stream = VirtualStream(loop, wire)
        self.pacer, self.encoding, self.until = self.stream.pacer, self.stream.wire.encoding, self.stream.until
        self.pacer.play(Playlist([self.clip]))
        self.pacer.start()

    @property
    def sent(self) -> list[bytes]:
        if self.stream.wire.settings.encapsulation == Encapsulation.RTP:
            return [self.encoding.expand(packet.payload) for packet in packets(self.stream)]
        return [self.encoding.decode(message) for message in self.stream.transport.messages]


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
@in_virtual_time
async def test_all_is_softer_from_the_next_frame_on_and_then_as_before(
    loop: VirtualLoop, wire: WireSettings
) -> None:
    playing = Playing(loop, wire)
    encoding = playing.encoding
    await playing.until(50)  # frames at 0, 20 and 40 ms
    playing.pacer.set_gain(HALF)
    await playing.until(110)
    playing.pacer.set_gain(1.0)
    await playing.until(190)
    plain = [as_sent(frame, encoding) for frame in FRAMES]
    assert playing.sent == [
        *plain[:3],
        as_sent(ramped(plain[3], 1, HALF), encoding),
        *(as_sent(scaled(frame, HALF), encoding) for frame in plain[4:6]),
        as_sent(ramped(plain[6], HALF, 1), encoding),
        *plain[7:10],
    ]


@in_virtual_time
async def test_without_gain_the_cached_messages_are_sent_themselves_again(loop: VirtualLoop) -> None:
    playing = Playing(loop)
    await playing.until(50)
    playing.pacer.set_gain(HALF)
    await playing.until(90)
    playing.pacer.set_gain(1.0)
    await playing.until(190)
    cached = {id(message) for message in playing.clip.get_frames(playing.encoding).frames}
    same = [id(message) in cached for message in playing.stream.transport.messages]
    assert same == [True] * 3 + [False] * 3 + [True] * 4


@in_virtual_time
async def test_a_gain_that_is_taken_back_before_the_next_frame_changes_nothing(loop: VirtualLoop) -> None:
    playing = Playing(loop)
    await playing.until(50)
    playing.pacer.set_gain(HALF)
    playing.pacer.set_gain(1.0)
    await playing.until(110)
    assert playing.sent == FRAMES[:6]


@in_virtual_time
async def test_what_is_too_loud_is_clipped(loop: VirtualLoop) -> None:
    playing = Playing(loop)
    playing.pacer.set_gain(10.0)
    await playing.until(790)
    assert playing.sent == [ramped(FRAMES[0], 1, 10.0), *(scaled(frame, 10.0) for frame in FRAMES[1:])]
    assert playing.sent[-1] == to_bytes(np.full(160, 32767, np.int16))


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
@in_virtual_time
async def test_what_is_muted_goes_on_in_time(loop: VirtualLoop, wire: WireSettings) -> None:
    playing = Playing(loop, wire)
    encoding = playing.encoding
    await playing.until(50)
    playing.pacer.set_gain(0.0)
    await playing.until(150)
    assert playing.pacer.playing == "sound"
    playing.pacer.set_gain(1.0)
    await playing.until(210)
    plain, silence = [as_sent(frame, encoding) for frame in FRAMES], as_sent(SILENCE, encoding)
    assert playing.sent == [
        *plain[:3],
        as_sent(ramped(plain[3], 1, 0), encoding),
        *[silence] * 4,
        as_sent(ramped(plain[8], 0, 1), encoding),
        *plain[9:11],
    ]


@in_virtual_time
async def test_gain_holds_for_all_that_plays_later_and_observers_see_what_is_sent(loop: VirtualLoop) -> None:
    playing = Playing(loop)
    observed: list[bytes] = []
    with playing.pacer.observe(lambda encoding, frame: observed.append(encoding.decode(frame))):
        playing.pacer.set_gain(HALF)
        await playing.until(50)
        playing.pacer.interject(Playlist([Clip(FRAMES[9])]))
        await playing.until(110)
    assert playing.sent[4] == scaled(FRAMES[9], HALF)
    assert observed == playing.sent


@in_virtual_time
async def test_sound_that_was_muted_begins_a_talkspurt(loop: VirtualLoop) -> None:
    playing = Playing(loop, WIRES["pcmu"])
    await playing.until(50)
    playing.pacer.set_gain(0.0)
    await playing.until(90)
    playing.pacer.set_gain(1.0)
    await playing.until(150)
    assert [packet.marker for packet in packets(playing.stream)] == [True, *[False] * 4, True, False, False]
