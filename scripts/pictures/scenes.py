"""The calls that are drawn. Each call is made under virtual time when its picture is drawn."""

import asyncio
import tomllib
import wave
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mediaserver.audio.pcm import FRAME_SAMPLES, PTIME, SAMPLE_RATE, Samples, from_bytes, to_bytes
from mediaserver.call import Call
from mediaserver.handlers.menu.handler import MenuHandler
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.wire.events import Audio, Event
from scripts.pictures.timeline import Point, Span, Timeline, Track
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop

PROMPTS = Path(__file__).parents[2] / "prompts"
_MENU = """
[menus.main]
play = "welcome"
keys.2 = { play = "beep", record = { finish_on = "#" }, hangup = true }
"""
Run = Callable[[Call], Coroutine[Any, Any, object]]
Act = tuple[float, Callable[[], object]]


def menu() -> Timeline:
    """A call to a menu: a key stops a prompt, the caller is recorded, and another key ends the recording."""
    voice = _prompt("welcome")
    with TemporaryDirectory() as folder:
        flow = MenuHandler.model_validate({**tomllib.loads(_MENU), "directory": folder})

        def acts(caller: Caller) -> list[Act]:
            said = to_bytes(voice[: round(1.4 * SAMPLE_RATE)])
            presses = ((2100, digits("2")), (3200, said), (4900, digits("#")))
            return [(at, partial(caller.say, pcm)) for at, pcm in presses]

        timeline, caller = _call("A menu: a key stops a prompt, and a message is recorded", 6000, flow.run, acts)
    timeline.sent.spans = _found(timeline.sent.sound, "welcome", "beep")
    labels = ("key 2", "speech", "key #")
    timeline.received.spans = [
        Span(label, *run) for label, run in zip(labels, timeline.received.runs(), strict=True)
    ]
    timeline.told = "events"
    timeline.points = [
        Point(kind, at) for (kind, _), at in zip(caller.backend.events, caller.backend.times, strict=True)
    ]
    return timeline


def bot() -> Timeline:
    """A voice bot sends two sentences at once, with a mark behind each, and clears when the caller speaks."""
    voice = _prompt("welcome")
    points: list[Point] = []

    async def run(call: Call) -> None:
        buffer, begin = PlayoutBuffer(), call.now

        def note(label: str) -> None:
            points.append(Point(label, call.now - begin))

        def say(name: str, seconds: float) -> None:
            note(f"media, mark {name}")
            buffer.push_audio(to_bytes(voice[: round(seconds * SAMPLE_RATE)]))
            buffer.add_mark(partial(note, f"mark {name} back"))

        playing = asyncio.ensure_future(call.play(buffer))
        await asyncio.sleep(0.2)
        say("1", 1.4)
        say("2", 2.4)
        await call.wait_for_speech()
        note("clear")
        buffer.clear()
        await asyncio.sleep(1.5)
        say("3", 1.0)
        await asyncio.sleep(1.4)
        playing.cancel()
        await asyncio.wait((playing,))

    def acts(caller: Caller) -> list[Act]:
        return [(2200, partial(caller.say, to_bytes(voice[: round(1.2 * SAMPLE_RATE)])))]

    timeline, _ = _call("A voice bot: the caller interrupts it (barge-in)", 6000, run, acts)
    labels = ("sentences 1 and 2", "sentence 3")
    timeline.sent.spans = [Span(label, *run) for label, run in zip(labels, timeline.sent.runs(), strict=True)]
    timeline.received.spans = [Span("speech", *run) for run in timeline.received.runs()]
    timeline.told = "messages"
    timeline.points = points
    return timeline


SCENES: dict[str, Callable[[], Timeline]] = {"menu-call": menu, "bot-barge-in": bot}


def _call(title: str, ms: float, run: Run, acts: Callable[[Caller], list[Act]]) -> tuple[Timeline, Caller]:
    """Have a caller call a handler for `ms` milliseconds; return the timeline of the call, and the caller."""
    loop = VirtualLoop()
    received: list[tuple[float, bytes]] = []

    def hear(event: Event) -> None:
        if isinstance(event, Audio):
            received.append((loop.time(), event.pcm))

    async def heard(call: Call) -> None:
        with call.listen(hear):
            await run(call)

    async def whole() -> Caller:
        caller = Caller(loop, library_of({name: _prompt(name) for name in ("welcome", "beep")}))
        await caller.call(heard, ms, *acts(caller))
        return caller

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        caller = runner.run(whole())
    if loop.faults:
        raise RuntimeError(loop.faults[0])
    transport = caller.stage.transport
    sent = _placed([(at / 1000, message[4:]) for at, message in transport.sent if len(message) > FRAME_SAMPLES])
    seconds = max(len(sent), 1) / SAMPLE_RATE
    inbound = _placed(received)[: len(sent)]
    inbound = np.pad(inbound, (0, len(sent) - len(inbound)))
    return Timeline(title, Track("sent", sent), Track("received", inbound), "", [], seconds), caller


def _placed(frames: list[tuple[float, bytes]]) -> Samples:
    """The samples of frames, each placed at its time on a grid of 20 ms, with silence between them."""
    places = [int(at / PTIME + 1e-6) for at, _ in frames]
    sound = np.zeros((places[-1] + 1, FRAME_SAMPLES), np.int16)
    for place, (_, pcm) in zip(places, frames, strict=True):
        sound[place] = from_bytes(pcm)
    return sound.reshape(-1)


def _found(sound: Samples, *names: str) -> list[Span]:
    """Find prompts in the sent audio; return the span of each, as far as the prompt was played."""
    spans = []
    frames = sound.reshape(-1, FRAME_SAMPLES)
    for name in names:
        samples = _prompt(name)
        whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        first = int(np.flatnonzero(np.any(whole, axis=1))[0])
        begin = next(n for n, frame in enumerate(frames) if (frame == whole[first]).all())
        rest = min(len(frames) - begin, len(whole) - first)
        same = np.all(frames[begin : begin + rest] == whole[first : first + rest], axis=1)
        length = rest if same.all() else int(np.argmin(same))
        spans.append(Span(name, begin * PTIME, (begin + length) * PTIME))
    return spans


def _prompt(name: str) -> Samples:
    with wave.open(str(PROMPTS / f"{name}.wav")) as file:
        return from_bytes(file.readframes(file.getnframes()))
