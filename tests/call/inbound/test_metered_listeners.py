"""Listeners with meters: they are called where something happens, and find what they would find in every frame.

The handler `analyse` runs twice, with the same peer: once each frame is delivered alone, and once in a batch.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.audio.level.stream_meter import NEVER, StreamMeter
from mediaserver.audio.pcm import FRAME_BYTES, SILENCE, Samples, to_bytes
from mediaserver.call import Call
from mediaserver.call.inbound.frame_batch import deliver_batch
from mediaserver.handlers.analyse import Analyse
from mediaserver.transport.masking import mask
from mediaserver.wire import websocket
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import Framing, WireSettings
from mediaserver.wire.events import Audio, Digit, Event
from mediaserver.wire.wire import Wire
from tests.call.caller import Caller, digits
from tests.call.inbound.test_frame_batch import SPEECH, Listening, alone, cut, press, together
from tests.handlers.test_handlers import library_of
from tests.sound import sine, speechlike, voice
from tests.virtual import VirtualLoop, in_virtual_time

SETTINGS = WireSettings(framing=Framing.PCM, inbound=InboundCodec.SLIN)
VOICE = voice(8000)


class BatchedCaller(Caller):
    """A caller whose frames are delivered in a batch with those of other callers, one of whom always speaks."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop, library_of(), SETTINGS)
        self.other = Listening(SETTINGS)
        alone(self.other, to_bytes(VOICE[:160]))

    def _send(self) -> None:
        frame, self._saying = self._saying[:FRAME_BYTES], self._saying[FRAME_BYTES:]
        if not (frame or not self.quiet):
            return
        receiver = self.session.receiver
        if not receiver.layout:
            self.session.receive_binary(frame or SILENCE)
            return
        receiver.received += 1
        frames = (to_bytes(VOICE[:160]), (frame or SILENCE).ljust(FRAME_BYTES, b"\0"))
        masked = [mask(websocket.binary(each), b"abcd") for each in frames]
        deliver_batch([self.other.receiver, receiver], masked, self.loop.time)


def pause(frames: int) -> Samples:
    return np.zeros(160 * frames, np.int16)


def pcm(*parts: Samples) -> bytes:
    return to_bytes(np.concatenate(parts))


LOUD = np.clip(VOICE.astype(np.int32) * 8, -32768, 32767).astype(np.int16)
TONE = (sine(440, 1.0, 8000) * 32767).astype(np.int16)
Act = tuple[float, Callable[[Caller], object]]


def say(at: float, sound: bytes) -> Act:
    return at, lambda caller: caller.say(sound)


def mute(at: float, muted: bool) -> Act:
    return at, lambda caller: caller.session.receiver.mute(muted)


def lose_connection(caller: Caller) -> None:
    caller.quiet = True
    caller.session.receiver.pause()


def connect_again(caller: Caller) -> None:
    caller.quiet = False
    caller.session.receiver.switch_wire(Wire(SETTINGS))


PEERS: dict[str, list[Act]] = {
    "silent": [],
    "speech": [say(500, pcm(VOICE, pause(40), VOICE, pause(5), VOICE))],
    "speech from the first frame on": [say(0, pcm(VOICE, pause(100), VOICE[:3200]))],
    "noise": [say(0, pcm(speechlike(40_000)))],
    "a tone": [say(300, pcm(TONE, pause(20), TONE))],
    "clipping": [say(300, pcm(LOUD, np.full(333, -32768, np.int16)))],
    "keys": [say(300, digits("159D*0#"))],
    "a key in speech": [say(300, pcm(VOICE[:4000]) + digits("4", 200) + pcm(VOICE[4000:]))],
    "a mixture": [
        say(300, pcm((VOICE // 2 + speechlike(8000) // 16).astype(np.int16)) + digits("42") + pcm(LOUD))
    ],
    "muted": [say(200, pcm(VOICE, VOICE) + digits("7") + pcm(VOICE)), mute(900, True), mute(2500, False)],
    "another connection": [
        say(200, pcm(VOICE)),
        (1300, lose_connection),
        (1900, connect_again),
        say(2000, pcm(VOICE)),
    ],
    "part of a frame": [
        say(200, pcm(VOICE, VOICE, VOICE)),
        (900, lambda caller: caller.session.receive_binary(pcm(VOICE[:50]))),
        (1700, lambda caller: caller.session.receive_binary(pcm(VOICE[50:160]))),
    ],
    "a digit that is a message": [
        say(200, digits("1")),
        (1500, lambda caller: caller.session.receiver.push_event(Digit("2"))),
        say(1600, digits("3") + pcm(VOICE)),
    ],
}

# What is told of each peer, at least, where it is not speech.
TOLD = {
    "silent": {"silence"},
    "noise": {"silence"},
    "a tone": {"silence"},
    "keys": {"digits", "silence"},
    "a digit that is a message": {"digits", "speech.started", "silence"},
}


async def events_of(caller: Caller, acts: list[Act]) -> list[tuple[float, str, dict[str, object]]]:
    """Every event of a call that is analysed from 600 ms on, with its time in seconds."""

    async def run(call: Call) -> None:
        assert not call.keypad.has_digit  # from now on, digits are typed ahead
        await asyncio.sleep(0.6)
        await Analyse(silence_after=1, interval=1.5).run(call)

    await caller.call(run, 7000, *[(at, partial(act, caller)) for at, act in acts])
    times, events = caller.backend.times, caller.backend.events
    for _, data in events:
        data.pop("jitter_ms", None)  # of frames that are polled, only gaps are measured
    return [(at, kind, data) for at, (kind, data) in zip(times, events, strict=True)]


@pytest.mark.parametrize("name", PEERS)
@in_virtual_time
async def test_a_call_is_analysed_in_batches_as_it_is_alone(loop: VirtualLoop, name: str) -> None:
    callers = Caller(loop, library_of(), SETTINGS), BatchedCaller(loop)
    single, batched = await asyncio.gather(*[events_of(caller, PEERS[name]) for caller in callers])
    assert batched == single
    reports = [data for _, kind, data in single if kind == "analysis"]
    assert len(reports) == 5
    told = {kind for _, kind, _ in single} - {"analysis"}
    assert told >= TOLD.get(name, {"speech.started", "speech.stopped", "silence"})


def events_in_batches(
    frames: list[bytes], due: int, *, keypad: bool = True, constant: bool = False
) -> tuple[list[Event], list[int]]:
    """The events that a listener with a meter gets, and for each of them the samples received by then.

    Other listeners get `constant`ly every frame.
    """
    stream, meter, detector = Listening(SETTINGS, keypad=keypad), StreamMeter(), VoiceActivityDetector()
    alone(stream, to_bytes(VOICE[:160]))  # sound, without which all frames are delivered
    events: list[Event] = []
    samples: list[int] = []
    meter.set_due(due)

    def on_event(event: Event) -> None:
        events.append(event)
        samples.append(meter.samples)
        if meter.samples >= due:
            meter.set_due(NEVER)

    with stream.receiver.listen(on_event, detector, meter):
        if constant:
            stream.listen("events and pcm")
        for frame in frames:
            together([(stream, frame)])
    if constant:
        assert [event.pcm for event in stream.events if isinstance(event, Audio)] == stream.pcm == frames
    return events, samples


@pytest.mark.parametrize("constant", [False, True])
def test_a_listener_with_a_meter_is_called_once_the_meter_is_due(constant: bool) -> None:
    frames = cut(SPEECH)
    events, samples = events_in_batches(frames, 1601, constant=constant)
    assert (events, samples) == ([Audio(frames[10])], [11 * 160])


@pytest.mark.parametrize("constant", [False, True])
def test_a_listener_with_a_meter_is_called_while_a_key_is_held(constant: bool) -> None:
    frames = cut(press("5", 200))
    events, samples = events_in_batches(frames, NEVER, constant=constant)
    assert samples[0] in (160, 320)
    assert samples == list(range(samples[0], samples[-1] + 1, 160))  # to the frame in which the key is released
    assert 200 * 8 <= samples[-1] <= 240 * 8
    assert [event.digits for event in events if isinstance(event, Audio) and event.digits] == ["5"]


def test_a_listener_with_a_meter_is_called_as_speech_begins_and_ends() -> None:
    frames = cut(pcm(pause(20), VOICE, pause(50)))
    detector, changes = VoiceActivityDetector(), []
    for n, frame in enumerate(frames):
        before = detector.speaking
        if detector.feed(frame) is not before:
            changes.append(160 * (n + 1))
    assert len(changes) == 2
    assert events_in_batches(frames, NEVER, keypad=False)[1] == changes


def test_a_listener_that_is_removed_takes_its_meter_along() -> None:
    stream, meter = Listening(SETTINGS), StreamMeter()
    alone(stream, to_bytes(VOICE[:160]))
    with stream.receiver.listen(stream.events.append, SpeechDetector(), meter):
        together([(stream, to_bytes(VOICE[:160]))])
        assert stream.receiver.meters == (meter,)
    together([(stream, to_bytes(VOICE[:160]))])
    assert (meter.samples, stream.receiver.meters, stream.receiver.takes_all) == (160, (), False)
