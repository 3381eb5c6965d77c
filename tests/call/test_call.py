"""`Call`, as handlers use it: collecting digits, prompts with barge-in, waiting for speech."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call, CollectedDigits, End, EndReason, Session
from mediaserver.errors import PeerError, PromptError
from mediaserver.playout.sources.source import Clip
from mediaserver.wire import audiosocket
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from mediaserver.wire.events import Digit
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.sound import read_wav, speechlike, voice, write_wav
from tests.virtual import VirtualLoop, in_virtual_time

PROMPT = Clip(to_bytes(speechlike(16_000)))  # 2 s
VOICE = to_bytes(voice(8000))


async def collect(loop: VirtualLoop, ms: float, *acts, settings: WireSettings | None = None, **options):
    """What a handler collects of a caller who does things at their times, and when it had it, in ms."""
    caller = Caller(loop, library_of(), settings)
    found: list[tuple[float, CollectedDigits]] = []

    async def run(call: Call) -> None:
        found.append((0, CollectedDigits("", False)))
        found[0] = loop.time(), await call.collect_digits(**options)
        found.append((loop.time() * 1000, found[0][1]))

    await caller.call(run, ms, *[(at, lambda keys=keys: caller.say(digits(keys))) for at, keys in acts])
    return caller, *(found[1] if len(found) > 1 else (None, None))


@in_virtual_time
async def test_one_digit_ends_a_prompt_before_the_key_is_up(loop: VirtualLoop) -> None:
    caller, _, got = await collect(loop, 1500, (500, "5"), count=1, prompt=PROMPT)
    assert got == CollectedDigits("5", timed_out=False)
    last_heard = (len(np.flatnonzero(caller.sounding())) - 1) * 20  # the prompt sounds from the first frame on
    assert 500 <= last_heard <= 560  # while the key is still down: 100 ms of it are heard from 510 ms on
    assert caller.backend.events_of("digits") == [{"digits": "5"}]


@pytest.mark.parametrize("phase", range(0, 20, 5))
@in_virtual_time
async def test_barge_in_is_quick_wherever_the_digit_falls(loop: VirtualLoop, phase: int) -> None:
    caller = Caller(loop, library_of())

    async def run(call: Call) -> None:
        await call.collect_digits(1, prompt=PROMPT)
        await call.silence()

    await caller.call(run, 1500, (500, lambda: caller.say(bytes(16 * phase) + digits("8"))))
    last_heard = (len(np.flatnonzero(caller.sounding())) - 1) * 20
    assert last_heard - (510 + phase) <= 80  # after the onset, as heard from the middle of a frame


@in_virtual_time
async def test_several_digits_until_the_terminator(loop: VirtualLoop) -> None:
    _, at, got = await collect(loop, 5000, (100, "12"), (1000, "3#4"), count=10)
    assert got == CollectedDigits("123", timed_out=False)
    assert at < 1500


@in_virtual_time
async def test_a_pause_after_a_digit_ends_it(loop: VirtualLoop) -> None:
    _, at, got = await collect(loop, 9000, (100, "12"), count=10, interdigit=2)
    assert got == CollectedDigits("12", timed_out=True)
    assert 2300 <= at <= 2400


@in_virtual_time
async def test_the_time_out_begins_after_the_prompt(loop: VirtualLoop) -> None:
    _, at, got = await collect(loop, 9000, count=1, prompt=PROMPT, timeout=3)
    assert got == CollectedDigits("", timed_out=True)
    assert 5000 <= at <= 5050


@in_virtual_time
async def test_without_barge_in_the_prompt_is_heard_to_its_end_and_the_digit_counts(loop: VirtualLoop) -> None:
    caller, at, got = await collect(loop, 3000, (500, "7"), count=1, prompt=PROMPT, barge_in="off")
    assert got == CollectedDigits("7", timed_out=False)
    assert caller.sounding().sum() == 100
    assert 2000 <= at <= 2050


@in_virtual_time
async def test_speech_stops_a_prompt_with_barge_in_by_speech(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    found = []

    async def run(call: Call) -> None:
        found.append(await call.collect_digits(1, prompt=PROMPT, barge_in="speech", timeout=1))

    await caller.call(run, 3000, (500, lambda: caller.say(VOICE)))
    last_heard = (len(np.flatnonzero(caller.sounding())) - 1) * 20
    assert 500 < last_heard <= 500 + 60 + 60  # a talk spurt is one after 60 ms
    assert found == [CollectedDigits("", timed_out=True, spoke=True)]


@in_virtual_time
async def test_speech_does_not_stop_a_prompt_that_waits_for_digits(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())

    async def run(call: Call) -> None:
        await call.collect_digits(1, prompt=PROMPT)

    await caller.call(run, 3000, (500, lambda: caller.say(VOICE)))
    assert caller.sounding().sum() == 100


@in_virtual_time
async def test_callers_may_type_ahead(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    found = []

    async def run(call: Call) -> None:
        while len(found) < 3:
            found.append((await call.collect_digits(1, prompt=PROMPT)).digits)

    await caller.call(run, 1500, (200, lambda: caller.say(digits("159"))))
    assert found == ["1", "5", "9"]
    assert caller.sounding().sum() < 45  # 200 ms of the first prompt, and what is heard before the other digits


@in_virtual_time
async def test_a_digit_typed_ahead_is_no_barge_in_by_speech(loop: VirtualLoop) -> None:
    caller, found = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        caller.session.push_digits("5")
        found.append(await call.collect_digits(1, prompt=PROMPT, barge_in="speech"))

    await caller.call(run, 500)
    assert found == [CollectedDigits("5", timed_out=False, spoke=False)]
    assert not caller.sounding().any()


@in_virtual_time
async def test_without_barge_in_a_digit_typed_ahead_does_not_stop_a_prompt(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())

    async def run(call: Call) -> None:
        caller.session.push_digits("5")
        await call.collect_digits(1, prompt=PROMPT, barge_in="off")

    await caller.call(run, 3000)
    assert caller.sounding().sum() == 100


@pytest.mark.parametrize("barge_in", ["off", "digits", "speech"])
@in_virtual_time
async def test_a_prompt_that_cannot_be_played_raises(loop: VirtualLoop, barge_in: str) -> None:
    caller, told = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        with pytest.raises(PromptError, match="nonesuch"):
            await call.prompt("nonesuch", barge_in)
        told.append(asyncio.all_tasks() - tasks)

    tasks = asyncio.all_tasks()
    await caller.call(run, 100)
    assert [len(left) for left in told] == [1]  # the handler's own


@pytest.mark.parametrize("sound", [bytes(320), [bytes(320)], None, 7])
@in_virtual_time
async def test_what_is_no_sound_is_told_by_its_type(loop: VirtualLoop, sound: Any) -> None:
    caller = Caller(loop, library_of())

    async def run(call: Call) -> None:
        with pytest.raises(
            TypeError, match=f"^{type(sound).__name__} is no sound: give a prompt's name, a Path, or"
        ):
            await call.play(sound)

    await caller.call(run, 100)


@in_virtual_time
async def test_a_prompt_that_was_stopped_leaves_nothing_behind(loop: VirtualLoop) -> None:
    """Neither a task nor a listener, and the next prompt begins at once."""
    caller, left = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        tasks = asyncio.all_tasks()
        loop.call_later(0.1, caller.session.push_digits, "1")
        await call.prompt(PROMPT, "speech")
        left.append((asyncio.all_tasks() - tasks, len(caller.session.receiver.listeners)))

    await caller.call(run, 500)
    assert left == [(set(), 1)]  # the keypad's


@in_virtual_time
async def test_no_digits_are_no_event(loop: VirtualLoop) -> None:
    caller, at, got = await collect(loop, 2000, count=2, timeout=1)
    assert (got, at) == (CollectedDigits("", timed_out=True), 1000)
    assert caller.backend.events_of("digits") == []


@in_virtual_time
async def test_enough_ends_the_collection_at_once(loop: VirtualLoop) -> None:
    _, at, got = await collect(loop, 1000, count=2, enough=lambda digits: True)
    assert (got, at) == (CollectedDigits("", timed_out=False), 0)


@in_virtual_time
async def test_digits_are_counted_where_the_handler_asked_for_one(loop: VirtualLoop, tmp_path: Path) -> None:
    caller, found = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        found.append(call.keys)
        await call.record(tmp_path / "a.wav", max_duration=0.1)
        caller.session.push_digits("1")
        found.append(call.keys)  # a recording that no key ends wants none
        assert "keys" not in caller.session.summary()
        await call.collect_digits(1)
        found.append(call.keys)
        assert caller.session.summary()["keys"] == 1

    await caller.call(run, 1000)
    assert found == [None, None, 1]


@pytest.mark.parametrize(
    ("what", "answers"), [("say so", True), ("record", True), ("play", True), ("listen", False)]
)
@in_virtual_time
async def test_which_actions_answer_a_call(loop: VirtualLoop, tmp_path: Path, what: str, answers: bool) -> None:
    caller = Caller(loop, library_of())

    async def run(call: Call) -> None:
        match what:
            case "say so":
                call.answer()
            case "record":
                await call.record(tmp_path / "a.wav", max_duration=0.1)
            case "play":
                await call.play(PROMPT)
            case "listen":
                await call.collect_digits(1, timeout=0.1)

    await caller.call(run, 300)
    assert caller.session.control.answered is answers


@in_virtual_time
async def test_after_stream_ended_no_event_is_emitted(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    for kind in ("one", "stream.ended", "other"):
        caller.session.call.notify(kind, caller.session.summary())
    assert [kind for kind, _ in caller.backend.events] == ["one", "stream.ended"]


@in_virtual_time
async def test_a_question_goes_to_the_operator_s_systems(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), None, {"menu": "main"}, PeerError("it is down"))
    assert await caller.session.call.ask("http://backend/", {"a": 1}, 3.0) == {"menu": "main"}
    with pytest.raises(PeerError):
        await caller.session.call.ask("http://backend/", {})
    assert caller.backend.questions == [("http://backend/", {"a": 1}), ("http://backend/", {})]


@in_virtual_time
async def test_an_utterance_ends_with_its_listener(loop: VirtualLoop) -> None:
    caller, found = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        with call.utterances() as utterances:
            await asyncio.sleep(1)
            found.append(utterances.current)
        assert utterances.current is None
        assert len(caller.session.receiver.listeners) == 1  # the keypad's

    await caller.call(run, 1500, (200, lambda: caller.say(VOICE * 2)))
    (utterance,) = found
    assert utterance is not None
    assert (utterance.ended, utterance.cut) == (True, False)


@in_virtual_time
async def test_a_digit_that_comes_as_tone_and_as_message_is_one_press(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), WireSettings(framing=Framing.MESSAGE))
    session, found = caller.session, []

    def send(pcm: bytes) -> None:
        for at in range(0, len(pcm), 320):
            kind = audiosocket.Kind.SLIN
            session.receive_binary(
                audiosocket.serialize(audiosocket.Message(kind, pcm[at : at + 320].ljust(320, b"\0")))
            )

    async def work() -> None:
        keypad = session.call.keypad
        send(digits("4"))
        session.receive_binary(b"\x03\x00\x014")
        session.receive_binary(b"\x03\x00\x014")  # and again: another press
        send(digits("9"))  # who sends messages is not listened to for tones
        session.receive_binary(b"\x03\x00\x019")
        found.append(keypad.drain_digits())

    await session.run(work())
    assert found == ["449"]


@in_virtual_time
async def test_waiting_for_speech(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    found = []

    async def run(call: Call) -> None:
        found.append((await call.wait_for_speech(1), loop.time()))
        found.append((await call.wait_for_speech(5), loop.time()))

    await caller.call(run, 4000, (2000, lambda: caller.say(VOICE)))
    (early, at), (late, then) = found
    assert (early, at) == (False, 1.0)
    assert late
    assert 2.05 <= then <= 2.2
    assert caller.backend.events_of("speech.started") == [{}]


@in_virtual_time
async def test_a_caller_who_hangs_up_at_their_first_word_ends_the_call(loop: VirtualLoop) -> None:
    """The word and the hang-up may come in one segment, and so before the handler has its next turn."""
    caller = Caller(loop, library_of())

    async def run(call: Call) -> None:
        await call.wait_for_speech(5)
        await call.silence()

    running = asyncio.create_task(caller.session.run(run(caller.session.call)))
    await caller.stage.until(1000)
    for at in range(0, len(VOICE), 320):
        caller.session.receive_binary(VOICE[at : at + 320])
    caller.session.finish(End(EndReason.PEER_HUNG_UP, 1000))
    await caller.stage.until(2000)
    over = running.done()
    running.cancel()
    await asyncio.wait((running,))
    assert over


@in_virtual_time
async def test_a_key_is_no_speech(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    found = []

    async def run(call: Call) -> None:
        found.append(await call.wait_for_speech(2))

    await caller.call(run, 3000, (500, lambda: caller.say(digits("5", on_ms=500))))
    assert found == [False]


@in_virtual_time
async def test_private_digits_are_counted_and_not_in_the_event(loop: VirtualLoop) -> None:
    caller, _, got = await collect(loop, 3000, (100, "4711#"), count=8, private=True)
    assert got.digits == "4711"
    assert caller.backend.events_of("digits") == [{"count": 4}]


@in_virtual_time
async def test_a_recording_can_be_played_back(loop: VirtualLoop, tmp_path: Path) -> None:
    library = library_of()
    write_wav(tmp_path / "a.wav", speechlike(1600, 8))

    async def decode(path: Path) -> Clip:
        return Clip(to_bytes(read_wav(path)))

    library.decode = decode  # type: ignore[method-assign, assignment]  # the real one takes real time
    caller = Caller(loop, library)
    await caller.call(lambda call: call.play(tmp_path / "a.wav"), 500)
    assert (caller.heard[:1600] == speechlike(1600, 8)).all()


@in_virtual_time
async def test_nothing_is_decoded_without_a_listener(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    await caller.call(lambda call: call.silence(), 200)
    assert caller.session.receiver.received == 10
    assert not asyncio.all_tasks() - {asyncio.current_task()}


@in_virtual_time
async def test_a_key_held_long_whose_message_comes_at_its_end_is_one_press(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of())
    found = []

    async def run(call: Call) -> None:
        keypad = call.keypad
        await asyncio.sleep(2)
        found.append(keypad.drain_digits())

    async def press() -> None:
        await caller.stage.until(1000)
        caller.session.call.keypad.on_event(Digit("5"))

    pressing = asyncio.create_task(press())
    await caller.call(run, 2500, (100, lambda: caller.say(digits("5", on_ms=800))))
    await pressing
    assert found == ["5"]


@in_virtual_time
async def test_rtp_held_for_a_lost_packet_is_delivered_before_the_listener_goes(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), WireSettings(encapsulation=Encapsulation.RTP))
    heard = []

    async def run(call: Call) -> None:
        with call.listen(heard.append):
            await asyncio.sleep(0.5)

    packets = [b"\x80\x60" + n.to_bytes(2, "big") + bytes(8) + bytes([n]) * 320 for n in (1, 2, 3, 5, 6)]
    caller.quiet = True
    acts = [
        (20.0 * n, lambda packet=packet: caller.session.receive_binary(packet)) for n, packet in enumerate(packets)
    ]
    await caller.call(run, 1000, *acts)
    assert [... if event.concealed else event.pcm[-1] for event in heard] == [1, 2, 3, ..., 5, 6]
    assert caller.session.receiver.packets == (5, 1, 0, 0)


@in_virtual_time
async def test_several_tasks_may_wait_for_digits(loop: VirtualLoop, tmp_path: Path) -> None:
    """A recording takes those that end it; of two who collect, each digit is for one."""
    caller = Caller(loop, library_of())
    done = {}

    async def run(call: Call) -> None:
        async def record() -> None:
            done["recording"] = (await call.record(tmp_path / "a.wav", finish_on="#")).reason

        async def collect(name: str) -> None:
            done[name] = (await call.collect_digits(2, terminator="", timeout=3)).digits

        await asyncio.gather(record(), collect("one"), collect("other"))

    await caller.call(run, 5000, (500, lambda: caller.say(digits("12#34"))))
    assert done["recording"] == "digit"
    assert sorted(done["one"] + done["other"]) == ["1", "2", "3", "4"]


@in_virtual_time
async def test_a_listener_that_fails_is_the_handlers_fault(
    loop: VirtualLoop, capfd: pytest.CaptureFixture[str]
) -> None:
    caller = Caller(loop, library_of())

    def fail(event: object) -> None:
        raise ZeroDivisionError

    async def run(call: Call) -> None:
        with call.listen(fail):
            await call.silence()

    end = await caller.call(run, 500)
    assert end is not None
    assert (end.reason, end.code) == ("error", 1011)
    assert "handler failed on received audio" in capfd.readouterr().out


@in_virtual_time
async def test_a_handler_has_a_call_and_nothing_of_the_session_behind_it(loop: VirtualLoop) -> None:
    call = Caller(loop, library_of()).session.call
    assert sorted(name for name in dir(call) if not name.startswith("_")) == [
        "answer",
        "ask",
        "clear",
        "close",
        "close_later",
        "collect_digits",
        "events",
        "hang_up",
        "jitter_ms",
        "keypad",
        "keys",
        "lead_to",
        "listen",
        "listen_pcm",
        "notify",
        "now",
        "packets",
        "pause_recording",
        "play",
        "prompt",
        "prompts",
        "record",
        "require_control",
        "run_actions",
        "set_background",
        "silence",
        "speech",
        "stop_recording",
        "stream",
        "transfer",
        "until_exhausted",
        "utterances",
        "wait_for_speech",
    ]
    assert not any(isinstance(each, Session) for each in vars(call).values())
