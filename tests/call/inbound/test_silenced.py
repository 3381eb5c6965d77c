"""A caller who is muted: what listeners get, alone and together with other calls, and what keypads find."""

import pytest

from mediaserver.audio.pcm import FRAME_BYTES, SILENCE
from mediaserver.wire.encapsulation import WireSettings
from mediaserver.wire.events import Audio, Digit
from tests.call.inbound.test_frame_batch import FORMATS, Listening, alone, cut, press, together
from tests.call.inbound.test_receiver import FRAME, ReceiverProbe

KEY = cut(press("5"))


def test_listeners_get_silence_and_all_other_events_while_the_caller_is_muted() -> None:
    probe, samples = ReceiverProbe(), list[bytes]()
    receiver = probe.receiver
    with receiver.listen(probe.heard.append), receiver.listen_pcm(samples.append):
        receiver.mute(True)
        receiver.decode_message(FRAME)
        receiver.push_event(Digit("1"))
        receiver.mute(False)
        receiver.decode_message(FRAME)
    assert probe.heard == [Audio(SILENCE), Digit("1"), Audio(FRAME)]
    assert samples == [SILENCE, FRAME]
    assert not receiver.listening


def test_one_that_listens_despite_mute_gets_the_audio() -> None:
    probe, samples, kept = ReceiverProbe(), list[bytes](), list[bytes]()
    receiver = probe.receiver
    receiver.mute(True)
    with (
        receiver.listen(probe.heard.append, despite_mute=True),
        receiver.listen_pcm(kept.append, despite_mute=True),
        receiver.listen_pcm(samples.append),
    ):
        receiver.decode_message(FRAME)
    with receiver.listen_pcm(kept.append):  # which says nothing of mute this time
        receiver.decode_message(FRAME)
    assert (probe.heard, samples, kept) == ([Audio(FRAME)], [SILENCE], [FRAME, SILENCE])


@pytest.mark.parametrize("name", ["pcm", "µ-law"])
def test_keys_in_the_audio_are_not_found_alone_nor_together_with_other_calls(name: str) -> None:
    settings: WireSettings = FORMATS[name][0]
    encode = FORMATS[name][1]
    muted, other, single = Listening(settings), Listening(settings), Listening(settings)
    for stream in (muted, other, single):
        stream.listen("events and pcm")
    muted.receiver.mute(True)
    single.receiver.mute(True)
    for frame in KEY:
        together([(muted, encode(frame)), (other, encode(frame))])
        alone(single, encode(frame))
    assert (muted.keypad.presses, single.keypad.presses, other.keypad.presses) == (0, 0, 1)
    assert set(muted.pcm) == set(single.pcm) == {bytes(FRAME_BYTES)}
    assert [event.pcm for event in muted.events if isinstance(event, Audio)] == muted.pcm
    muted.receiver.mute(False)
    for frame in KEY:
        together([(muted, encode(frame)), (other, encode(frame))])
    assert (muted.keypad.presses, other.keypad.presses) == (1, 2)
    muted.receiver.mute(True)
    muted.receiver.push_event(Digit("7"))
    assert muted.keypad.presses == 2


def test_a_key_that_is_held_when_the_caller_is_muted_is_released() -> None:
    settings, encode = FORMATS["pcm"]
    stream = Listening(settings)
    held = cut(press("7", 400))[:10]
    for frame in held:
        together([(stream, encode(frame))])
    assert stream.keypad.dtmf_active
    stream.receiver.mute(True)
    for _ in range(5):
        together([(stream, encode(held[5]))])
    assert not stream.keypad.dtmf_active
