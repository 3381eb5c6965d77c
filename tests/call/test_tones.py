"""A path with `tones` tells of call-progress tones, to its handler and to the operator."""

import asyncio
from typing import ClassVar

import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call, End, EndReason
from mediaserver.handlers import Handler, Tone
from mediaserver.runtime.sessions import run_handler
from tests.audio.detection.test_call_progress import CADENCES, quiet, samples, sound
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time


class Listening(Handler):
    """Keeps the tones that it is told of."""

    told: ClassVar[list[Tone]] = []

    async def run(self, call: Call) -> None:
        async for event in call.events():
            if isinstance(event, Tone):
                self.told.append(event)


@pytest.mark.parametrize("tones", [True, False])
@in_virtual_time
async def test_a_busy_tone_is_an_event_for_the_handler_and_for_webhooks(tones: bool, loop: VirtualLoop) -> None:
    Listening.told.clear()
    caller = Caller(loop, library_of())
    caller.say(to_bytes(samples(quiet(400))) + to_bytes(samples(sound(CADENCES["us busy"][1], 5))))
    running = asyncio.create_task(run_handler(caller.session, Listening(tones=tones)))
    for n in range(300):
        await caller.stage.until(n * 20 + 10)
        caller._send()
    caller.session.finish(End(EndReason.PEER_CLOSED, 1000))
    await running
    assert Listening.told == ([Tone("busy", 400)] if tones else [])
    assert caller.backend.events_of("tone") == ([{"tone": "busy", "at_ms": 400}] if tones else [])
