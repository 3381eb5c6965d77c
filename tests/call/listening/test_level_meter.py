"""Levels of a call under virtual time: of both directions, of 200 ms, and only while somebody looks."""

import numpy as np
import pytest

from mediaserver.audio.pcm import quantize, to_bytes
from mediaserver.call import Call
from mediaserver.call.listening.level_meter import LevelMeter, take_levels
from mediaserver.playout.sources.source import Clip, silence
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.sound import sine
from tests.virtual import VirtualLoop, in_virtual_time


@pytest.mark.parametrize("encapsulation", [Encapsulation.AUDIOSOCKET, Encapsulation.RTP])
@in_virtual_time
async def test_levels_are_of_both_directions_and_of_the_latest_audio(
    loop: VirtualLoop, encapsulation: Encapsulation
) -> None:
    caller = Caller(loop, library_of({}), WireSettings(encapsulation, framing=Framing.PCM))
    meters: list[LevelMeter] = []
    levels: list[dict[str, float | None]] = []

    async def play(call: Call) -> None:
        await call.play(Clip(to_bytes(quantize(sine(1000, 2.0, 8000, peak=0.1)))))
        await call.play(silence(1000))

    def speak() -> None:
        if encapsulation is Encapsulation.AUDIOSOCKET:
            caller.say(to_bytes(quantize(sine(400, 0.5, 8000, peak=0.5))))
        meters.append(caller.session.operator.meter_levels())

    def look() -> None:
        levels.extend(take_levels(meters))

    caller.quiet = True
    await caller.call(play, 4000, (1000, speak), *((1000 + n, look) for n in (300, 500, 900, 1500)))
    says = -20 * np.log10(2) if encapsulation is Encapsulation.AUDIOSOCKET else None
    for level, caller_db, us_db in zip(levels, (says, says, None, None), (-20, -20, -20, None), strict=True):
        assert level == {
            "caller": pytest.approx(caller_db, abs=0.25) if caller_db is not None else None,
            "us": pytest.approx(us_db, abs=0.25) if us_db is not None else None,
        }
    meters[0].close()


@in_virtual_time
async def test_levels_are_of_200_ms_to_a_tenth_of_a_decibel(loop: VirtualLoop) -> None:
    """Of which the caller is silent for 100 ms, and we in every other frame; a square wave has 3 dB more power."""
    caller = Caller(loop, library_of({}), WireSettings(framing=Framing.PCM))
    frame = to_bytes(np.full(160, 8000, np.int16))
    meters: list[LevelMeter] = []
    levels: list[dict[str, float | None]] = []

    async def play(call: Call) -> None:
        await call.play(Clip((frame + bytes(len(frame))) * 50))

    def look() -> None:
        levels.extend(take_levels(meters))

    start = (500, lambda: meters.append(caller.session.operator.meter_levels()))
    say = (800, lambda: caller.say(frame * 5))
    await caller.call(play, 1400, start, (700, look), say, (995, look))
    square = 20 * np.log10(8000 / 32768) + 10 * np.log10(2)
    half = round(square - 10 * np.log10(2), 1)
    assert levels == [{"caller": None, "us": half}, {"caller": half, "us": half}]
    meters[0].close()


@in_virtual_time
async def test_nothing_is_kept_once_the_meter_is_closed(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}), WireSettings(framing=Framing.PCM))
    caller.say(to_bytes(quantize(sine(400, 2, 8000))))
    meters: list[LevelMeter] = []

    async def play(call: Call) -> None:
        await call.play(Clip(to_bytes(quantize(sine(1000, 2, 8000)))))

    def close() -> None:
        assert caller.session.receiver.listening
        meters[0].close()
        take_levels(meters)

    begin = (200, lambda: meters.append(caller.session.operator.meter_levels()))
    await caller.call(play, 1000, begin, (500, close))
    assert take_levels(meters) == [{"caller": None, "us": None}]
    assert not caller.session.receiver.listening
