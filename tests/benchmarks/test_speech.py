"""What the listeners of the benchmarks say, and when."""

import wave

import pytest

from benchmarks.listeners.frames import BINARY, Frame, take_frames
from benchmarks.listeners.speech import MULAW, PCM, RTP, SAID_BYTES, Speech, Talkers
from mediaserver.audio import g711
from mediaserver.wire import rtp
from tests.project import ROOT

with wave.open(str(ROOT / "prompts/welcome.wav")) as file:
    WORDS = file.readframes(file.getnframes())


def frame(number: int) -> bytes:
    """The PCM of a frame of the words, which begin again when they are over."""
    at = number % (len(WORDS) // 320) * 320
    return WORDS[at : at + 320]


class Ear:
    """Takes what a talker says, up to some bytes."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.messages: list[bytes] = []
        self.room = room

    def send(self, message: bytes) -> int:
        """As a socket that does not block."""
        if not self.room:
            raise BlockingIOError
        taken = message[: self.room]
        self.room -= len(taken)
        self.messages.append(taken)
        return len(taken)


@pytest.mark.parametrize("words", SAID_BYTES)
@pytest.mark.parametrize("masked", [False, True])
def test_messages_of_every_format(words: str, masked: bool) -> None:
    speech = Speech(words, masked=masked)
    for number in (0, 1, 1_000_000):
        pcm = frame(number)
        payload = speech.payload(number)
        assert len(payload) == SAID_BYTES[words]
        assert take_frames(speech.message(number), masked=masked) == ([Frame(BINARY, payload)], b"")
        if words == RTP:
            packet = rtp.parse(payload)
            assert (packet.sequence, packet.timestamp) == (number % 65536, number * 160)
            payload = packet.payload
        assert payload == (g711.mulaw_compand(pcm) if words == MULAW else pcm)


def test_every_talker_says_one_frame_in_20_ms_and_nothing_twice() -> None:
    speech = Speech(PCM, masked=True)
    talkers, ears = Talkers(speech, began=100.0), [Ear() for _ in range(30)]
    for ear in ears:
        talkers.add(ear.send)
    now = 100.0
    while now < 101.0 - 1e-6:
        now = talkers.talk(now + 1e-6)  # awake a little later than it asked for
    assert talkers.said == 30 * 50
    for ear in ears:
        assert ear.messages == [speech.message(number) for number in range(50)]


def test_talkers_speak_in_turns() -> None:
    talkers, ears = Talkers(Speech(PCM, masked=True), began=0.0), [Ear() for _ in range(40)]
    for ear in ears:
        talkers.add(ear.send)
    for turn in range(1, 21):
        assert talkers.talk((turn - 0.5) / 1000) == pytest.approx(turn / 1000)
        assert talkers.said == 2 * turn  # two of forty in each of twenty turns


def test_what_is_late_is_caught_up_and_a_newcomer_says_what_is_said_by_then() -> None:
    speech = Speech(PCM, masked=True)
    talkers, first, second = Talkers(speech, began=0.0), Ear(), Ear()
    talkers.add(first.send)
    talkers.talk(0.05)
    talkers.add(second.send)
    talkers.talk(0.1)
    assert first.messages == [speech.message(number) for number in range(6)]
    assert second.messages == [speech.message(number) for number in range(3, 5)]


def test_a_server_that_takes_nothing_more_is_told_of_and_not_spoken_to() -> None:
    speech = Speech(PCM, masked=True)
    size = len(speech.message(0))
    talkers, deaf, slow, good = Talkers(speech, began=0.0), Ear(0), Ear(2 * size + 7), Ear()
    for ear in (deaf, slow, good):
        talkers.add(ear.send)
    talkers.talk(0.999)
    assert talkers.unheard == 2
    assert [len(ear.messages) for ear in (deaf, slow, good)] == [0, 3, 50]
    assert talkers.said == 2 + 50


def test_a_stream_that_is_over_is_no_deaf_server() -> None:
    def send(message: bytes) -> int:
        raise BrokenPipeError

    talkers = Talkers(Speech(PCM, masked=True), began=0.0)
    talkers.add(send)
    talkers.talk(0.5)
    assert (talkers.said, talkers.unheard) == (0, 0)
