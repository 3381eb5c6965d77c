"""The keypad: what becomes of each digit, to the millisecond."""

import asyncio

import pytest

from mediaserver.audio.pcm import FRAME_BYTES, SILENCE
from mediaserver.call import Call
from mediaserver.call.inbound.keypad import MAX_TYPED_AHEAD, Keypad
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.wire.encapsulation import Encapsulation, WireSettings
from mediaserver.wire.events import Audio, Digit, Hangup
from mediaserver.wire.wire import Wire
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

HELD = digits("5")[: 5 * FRAME_BYTES]  # a key that is down for 100 ms


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Phone:
    """A caller's keys, at the times of a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.keypad = Keypad(self.clock)

    def message(self, keys: str, at: float = 0.0) -> None:
        """Keys as messages."""
        self.clock.now = 100 + at
        for key in keys:
            self.keypad.on_event(Digit(key))

    def tone(self, pcm: bytes, at: float = 0.0) -> float:
        """Sound, from a moment on; the moment after it."""
        for n in range(0, len(pcm), FRAME_BYTES):
            self.clock.now = 100 + at + n / 16_000
            self.keypad.on_event(Audio(pcm[n : n + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")))
        return at + len(pcm) / 16_000

    @property
    def kept(self) -> str:
        return self.keypad.drain_digits()


# -- a terminator that nobody asked for ------------------------------------------------------------


@pytest.mark.parametrize(("after", "kept"), [(0.0, ""), (1.0, ""), (1.001, "#"), (3.0, "#")])
def test_a_terminator_is_dropped_if_it_comes_soon(after: float, kept: str) -> None:
    phone = Phone()
    phone.keypad.ignore_next("*#", 1.0)
    phone.message("#", after)
    assert phone.kept == kept
    phone.message("#", after)  # only the first key that comes
    assert phone.kept == "#"


def test_another_key_is_kept_and_the_terminator_after_it_too() -> None:
    phone = Phone()
    phone.keypad.ignore_next("#", 1.0)
    phone.message("5#")
    assert phone.kept == "5#"


def test_a_terminator_in_the_type_ahead_buffer_is_dropped_and_no_later_one() -> None:
    phone = Phone()
    phone.message("#1#")
    phone.keypad.ignore_next("#", 1.0)
    assert phone.kept == "1#"
    phone.message("#")
    assert phone.kept == "#"
    phone.message("1")
    phone.keypad.ignore_next("#", 1.0)  # what comes next was there already, and is none
    assert phone.kept == "1"
    phone.message("#")
    assert phone.kept == "#"


@pytest.mark.parametrize(
    ("count", "after", "kept"), [(1, 0.9, ""), (1, 1.1, "#"), (1, 2.9, "#"), (2, 2.9, ""), (2, 3.1, "#")]
)
@in_virtual_time
async def test_how_long_a_terminator_is_expected(loop: VirtualLoop, count: int, after: float, kept: str) -> None:
    """A second after a single digit, which needs none; as long as for a further digit after several."""
    caller, found = Caller(loop, library_of()), []

    async def run(call: Call) -> None:
        caller.session.push_digits("12"[:count])
        assert len((await call.collect_digits(count)).digits) == count
        await asyncio.sleep(after)
        caller.session.push_digits("#")
        found.append(call.keypad.drain_digits())

    await caller.call(run, 4000)
    assert found == [kept]


# -- tones and messages ----------------------------------------------------------------------------


def test_a_key_is_kept_and_counted_once() -> None:
    phone = Phone()
    phone.tone(digits("12"))
    assert (phone.keypad.presses, phone.keypad.has_digit) == (2, True)
    assert phone.kept == "12"
    assert (phone.keypad.presses, phone.keypad.has_digit) == (2, False)
    assert phone.kept == ""


@pytest.mark.parametrize(("after", "kept"), [(0.0, "5"), (0.5, "5"), (0.52, "55"), (2.0, "55")])
def test_a_message_soon_after_its_tone_is_the_same_press(after: float, kept: str) -> None:
    phone = Phone()
    over = phone.tone(HELD)
    last = over - 0.02  # when its last frame came
    phone.message("5", last + after)
    assert phone.kept == kept
    assert phone.keypad.presses == len(kept)


def test_a_tone_is_over_when_it_is_not_heard_any_more() -> None:
    phone = Phone()
    over = phone.tone(HELD + SILENCE * 50)
    phone.message("5", over)
    assert phone.kept == "55"


def test_keys_in_one_piece_of_sound_are_each_their_own() -> None:
    phone = Phone()
    phone.keypad.ignore_next("#", 1.0)
    phone.keypad.on_event(Audio(digits("#512")))
    assert (phone.kept, phone.keypad.presses) == ("512", 4)


def test_another_key_s_message_after_a_tone_is_another_press() -> None:
    phone = Phone()
    phone.tone(digits("5"))
    phone.message("6", 0.2)
    assert phone.kept == "56"


def test_a_peer_that_sends_messages_is_not_listened_to_for_tones() -> None:
    phone = Phone()
    phone.message("1")
    over = phone.tone(HELD)
    assert not phone.keypad.dtmf_active
    phone.message("5", over)
    assert phone.kept == "15"
    phone.message("5", over)  # which is not taken for a tone's
    assert phone.kept == "5"


def test_a_tone_is_known_while_it_sounds() -> None:
    phone = Phone()
    assert not phone.keypad.dtmf_active
    phone.tone(HELD)
    assert phone.keypad.dtmf_active
    phone.tone(SILENCE * 5)
    assert not phone.keypad.dtmf_active


def test_what_is_no_key_is_nothing() -> None:
    phone = Phone()
    phone.keypad.ignore_next("#", 1.0)
    phone.keypad.on_event(Hangup())
    phone.tone(SILENCE * 10)
    assert (phone.keypad.presses, phone.kept) == (0, "")
    phone.message("#")  # and is no key that comes next either
    assert phone.kept == ""


# -- who gets them ---------------------------------------------------------------------------------


def test_the_oldest_of_too_many_gives_way() -> None:
    phone = Phone()
    phone.message("1" + "2" * MAX_TYPED_AHEAD)
    assert phone.kept == "2" * MAX_TYPED_AHEAD
    assert phone.keypad.presses == MAX_TYPED_AHEAD + 1


def test_a_key_that_is_taken_is_for_nobody_else() -> None:
    phone, taken = Phone(), []
    with phone.keypad.intercept("12", lambda: taken.append("one")):
        with phone.keypad.intercept("2", lambda: taken.append("other")):
            phone.message("123")
            assert phone.kept == "3"
            assert taken == ["one", "one", "other"]
        phone.message("2")  # the one who is left still takes it
        assert (phone.kept, taken[3:]) == ("", ["one"])
    phone.message("12")
    assert (phone.kept, taken[4:]) == ("12", [])


def test_a_taker_who_fails_takes_no_more() -> None:
    phone, taken = Phone(), []
    with pytest.raises(LookupError), phone.keypad.intercept("1", lambda: taken.append(1)):
        raise LookupError
    phone.message("1")
    assert (phone.kept, taken) == ("1", [])


def test_who_wants_keys_is_known() -> None:
    phone = Phone()
    assert not phone.keypad.awaited
    with phone.keypad.intercept("1", lambda: None):
        assert phone.keypad.awaited


@in_virtual_time
async def test_a_press_is_waited_for_so_long_and_no_longer(loop: VirtualLoop) -> None:
    keypad = Keypad(loop.time)
    loop.call_later(2.0, keypad.on_event, Digit("7"))
    assert (await keypad.next_digit(1.5), loop.time()) == ("", 1.5)
    assert keypad.awaited
    assert (await keypad.next_digit(), loop.time()) == ("7", 2.0)
    assert (await keypad.next_digit(0.5), loop.time()) == ("", 2.5)  # it is not there any more


@in_virtual_time
async def test_of_several_who_wait_each_key_is_for_one(loop: VirtualLoop) -> None:
    keypad = Keypad(loop.time)
    both = [asyncio.create_task(keypad.next_digit()) for _ in range(2)]
    loop.call_later(1.0, keypad.on_event, Digit("1"))
    loop.call_later(2.0, keypad.on_event, Digit("2"))
    done, _ = await asyncio.wait(both, timeout=1.5)
    assert [task.result() for task in done] == ["1"]
    assert sorted(await asyncio.gather(*both)) == ["1", "2"]
    assert not keypad.has_digit


# -- tones in lossy RTP ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", "159#D")
@pytest.mark.parametrize("held_ms", [100, 140, 200])
def test_a_key_of_which_one_packet_is_lost_is_pressed_once(key: str, held_ms: int) -> None:
    """The packet is any of the key's, or one next to them, and the key begins anywhere within a packet."""
    tone = digits(key, held_ms, 160)
    for offset in (0, 60, 110):
        pcm = bytes(4 * FRAME_BYTES + 2 * offset) + tone
        packets = [pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for at in range(0, len(pcm), FRAME_BYTES)]
        for lost in range(3, 3 + held_ms // 20 + 3):
            receiver, phone = Receiver(Wire(WireSettings(Encapsulation.RTP)), Clock()), Phone()
            receiver.add_keypad(phone.keypad)
            for n, packet in enumerate(packets):
                if n != lost:
                    receiver.decode_message(b"\x80\x60" + n.to_bytes(2, "big") + bytes(8) + packet)
            assert receiver.packets.lost == 1
            assert phone.kept == key, (offset, lost)
