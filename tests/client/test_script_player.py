"""What `call` sends, and when: exact messages at exact times, and keys that the menu of a real server detects."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mediaserver.audio.detection.dtmf import DtmfDetector
from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.client import simulator
from mediaserver.client.script_player import Script, ScriptPlayer, TurnDetector
from mediaserver.client.simulator import SimulatedCall
from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.wire.depacketizers import Depacketizer
from mediaserver.wire.encapsulation import Carrier, Encapsulation, Framing, RtpPayload, WireSettings
from mediaserver.wire.events import Audio
from mediaserver.wire.wire import Wire
from tests.server.process import audiosocket_ports, serving, write_config
from tests.sound import speechlike, write_wav
from tests.timing import UNIT
from tests.use_cases.backend import SECRET, Backend
from tests.virtual import FakeTransport, VirtualLoop, in_virtual_time

LOUD = to_bytes(speechlike(160))
SOUND = to_bytes(speechlike(160 * 5, 3))
MESSAGE = WireSettings(Encapsulation.AUDIOSOCKET, Framing.MESSAGE)
PCM = WireSettings(Encapsulation.AUDIOSOCKET, Framing.PCM)
IN_BAND = [
    pytest.param(PCM, id="pcm"),
    pytest.param(WireSettings(Encapsulation.SLN), id="sln"),
    pytest.param(WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.PCMU), id="rtp"),
]


class Sent:
    """What a script player sends under virtual time, and the turn detector that it waits for."""

    def __init__(self, loop: VirtualLoop, settings: WireSettings, script: Script, tcp: bool = False) -> None:
        self.loop, self.line, self.turn_detector = loop, FakeTransport(loop), TurnDetector(loop.time)
        self.wire = Wire(settings, carrier=Carrier.TCP if tcp else Carrier.WEBSOCKET)
        ticker = Ticker(partial(CallAtAlarm, loop), loop.clock)
        self.player = ScriptPlayer(self.wire, self.line, script, self.turn_detector, ticker)
        self.player.start()

    async def hear(self, pcm: bytes, until: float) -> None:
        """The far end sends a frame every 20 ms, until a time in seconds."""
        while self.loop.time() < until:
            self.turn_detector.push_audio(pcm, self.loop.time())
            await asyncio.sleep(0.02)

    async def until(self, seconds: float) -> None:
        await asyncio.sleep(seconds - self.loop.time())


def keys(sent: Sent) -> list[tuple[int, bytes]]:
    """The messages that hold a key, by their time in ms."""
    return [(round(at), message) for at, message in sent.line.sent if b"\x03\x00\x01" in message[:5]]


def begins(sent: Sent) -> float:
    """When the first sound was sent, in seconds."""
    silent = sent.wire.encoding.silence
    return next(at for at, message in sent.line.sent if message != silent) / 1000


@in_virtual_time
async def test_a_greeting_and_a_pause_in_it_are_waited_for(loop: VirtualLoop) -> None:
    sent = Sent(loop, PCM, Script(pcm=SOUND))
    await sent.hear(LOUD, 2.5)
    await sent.hear(SILENCE, 3.3)  # between two sentences
    await sent.hear(LOUD, 4.0)
    await sent.hear(SILENCE, 6.0)
    await sent.player.stop()
    assert begins(sent) == pytest.approx(3.98 + 1.0, abs=0.021)
    assert sent.player.unsent == ""
    sound = b"".join(message[4:] for _, message in sent.line.sent if any(message[4:]))
    assert sound == SOUND


@in_virtual_time
async def test_a_silent_peer_is_sent_the_script_after_two_seconds(loop: VirtualLoop) -> None:
    sent = Sent(loop, PCM, Script(pcm=SOUND))
    await sent.hear(to_bytes(speechlike(160) // 400), 3.0)  # a line's noise
    await sent.player.stop()
    assert begins(sent) == pytest.approx(2.0, abs=0.021)


@pytest.mark.parametrize("after", [0.0, 0.5])
@in_virtual_time
async def test_a_given_time_replaces_the_wait_for_our_turn(after: float, loop: VirtualLoop) -> None:
    sent = Sent(loop, PCM, Script(pcm=SOUND, after=after))
    await sent.hear(LOUD, 1.0)
    await sent.player.stop()
    assert begins(sent) == pytest.approx(after, abs=0.021)
    assert after or any(sent.line.messages[0][4:])


@pytest.mark.parametrize("tcp", [False, True])
@in_virtual_time
async def test_keys_are_messages_where_the_wire_has_them(tcp: bool, loop: VirtualLoop) -> None:
    sent = Sent(loop, WireSettings() if tcp else MESSAGE, Script("1,,47#", after=0.0), tcp)
    await sent.until(6.0)
    await sent.player.stop()
    head = b"" if tcp else b"\x82\x04"
    assert keys(sent) == [
        (at, head + b"\x03\x00\x01" + key)
        for at, key in zip((0, 4200, 4400, 4600), (b"1", b"4", b"7", b"#"), strict=True)
    ]
    assert len(sent.line.sent) - 4 == pytest.approx(300, abs=1)  # and a frame every 20 ms
    assert sent.player.unsent == ""


@pytest.mark.parametrize("settings", IN_BAND)
@in_virtual_time
async def test_keys_are_tones_where_the_wire_has_no_messages(settings: WireSettings, loop: VirtualLoop) -> None:
    sent = Sent(loop, settings, Script("1,D", after=0.0))
    await sent.until(3.0)
    await sent.player.stop()
    heard = pcm_of(sent)
    receiver, found = DtmfDetector(), []
    for at in range(0, len(heard), 320):
        found += [(at // 16, digit) for digit in receiver.feed(heard[at : at + 320])]
    assert [digit for _, digit in found] == ["1", "D"]
    assert [at for at, _ in found] == pytest.approx([40, 2240], abs=41)
    assert any(heard[80 * 16 : 100 * 16])
    assert not any(heard[100 * 16 : 2200 * 16])  # 100 ms of tone, 100 of silence and 2 s of pause
    assert sent.player.unsent == ""


def pcm_of(sent: Sent) -> bytes:
    """All sound, as the far end hears it."""
    wire: Depacketizer = Wire(sent.wire.settings).inbound
    events = [event for at, message in sent.line.sent for event in wire.depacketize(unframed(message), at)]
    return b"".join(event.pcm for event in events if isinstance(event, Audio))


def unframed(message: bytes) -> bytes:
    """The payload of an unmasked WebSocket message."""
    return message[4:] if message[1] == 126 else message[2:]


@in_virtual_time
async def test_a_file_waits_for_the_answer_to_the_keys(loop: VirtualLoop) -> None:
    sent = Sent(loop, MESSAGE, Script("1", SOUND))
    await sent.hear(LOUD, 1.0)
    await sent.hear(SILENCE, 2.5)
    await sent.hear(LOUD, 3.5)  # what the key leads to
    await sent.hear(SILENCE, 6.0)
    await sent.player.stop()
    ((pressed, _),) = keys(sent)
    assert pressed == pytest.approx(1980, abs=21)
    spoken = [at for at, message in sent.line.sent if len(message) > 300 and any(message[7:])]
    assert spoken[0] / 1000 == pytest.approx(3.48 + 1.0, abs=0.041)
    assert len(spoken) == 5


@pytest.mark.parametrize(
    ("script", "seconds", "why"),
    [
        (
            Script(pcm=SOUND),
            3,
            "nothing was sent: the far end was never quiet for 1 s (--after 0 does not wait for that)",
        ),
        (Script("1", after=5.0), 3, "nothing was sent: the call was over within 5 s"),
        (Script("1,,2", after=0.0), 3, "1 of 2 keys were sent before the call was over"),
        (Script("1,,2", after=0.0), 6, ""),
        (Script(), 1, ""),
    ],
)
@pytest.mark.parametrize("settings", [MESSAGE, PCM], ids=["messages", "tones"])
@in_virtual_time
async def test_what_was_not_sent_is_reported(
    settings: WireSettings, script: Script, seconds: float, why: str, loop: VirtualLoop
) -> None:
    sent = Sent(loop, settings, script)
    await sent.hear(LOUD, seconds)
    await sent.player.stop()
    assert sent.player.unsent == why


@in_virtual_time
async def test_a_stream_that_ends_at_once_is_not_reported_as_loud(loop: VirtualLoop) -> None:
    sent = Sent(loop, MESSAGE, Script("12"))
    await sent.until(1.9)  # in silence: what is to be sent waits two seconds for the far end to begin
    await sent.player.stop()
    await sent.until(5.0)
    assert sent.player.unsent == "nothing was sent: the stream ended before it could be"


@in_virtual_time
async def test_a_connection_that_is_gone_takes_no_keys(loop: VirtualLoop) -> None:
    sent = Sent(loop, MESSAGE, Script("12", after=0.1))
    await sent.until(0.2)
    sent.line.closing = True
    await sent.until(1.0)
    await sent.player.stop()
    assert sent.player.unsent == "1 of 2 keys were sent before the call was over"


MENU = """
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
play = "greeting"
keys.1 = { menu = "pin" }
timeout = 60
[paths."/menu".menus.pin]
collect = { min = 4, max = 8, timeout = 60, interdigit = 60 }
then = { webhook = "URL/ask" }
[paths."/pcm"]
handler = "menu"
framing = "pcm"
[paths."/pcm".menus.main]
collect = { max = 6, timeout = 60, interdigit = 60 }
then = { webhook = "URL/ask" }
[events]
url = "URL/events"
secret = "SECRET"
"""


async def test_a_menu_detects_keys_on_every_wire(tmp_path: Path) -> None:
    queries = ["", "?framing=message", "?framing=pcm", "?encapsulation=sln"]
    queries += [f"?encapsulation=rtp&rtp_payload={payload}" for payload in RtpPayload]
    async with Backend() as backend:
        paths = MENU.replace("URL", backend.url).replace("SECRET", SECRET)
        config = write_config(tmp_path, audiosocket_ports("/menu") + paths)
        write_wav(tmp_path / "prompts/greeting.wav", speechlike(160 * 20))
        with serving(config) as server:
            urls = [server.url(f"/menu{query}") for query in queries]
            urls.append(f"tcp://127.0.0.1:{server.ports['/menu']}")
            calls = [SimulatedCall(url, 20 * UNIT, digits="1,4711#") for url in urls]
            told = SimulatedCall(server.url("/pcm"), 20 * UNIT, framing=Framing.PCM, digits="14711#", after=0)
            reports = await asyncio.gather(*map(simulator.simulate, (*calls, told)))
    wrong = [replace(report, drift_ppm=None).problems for report in reports]  # a busy machine paces as it can
    assert wrong == [[]] * len(reports)
    digits = sorted(question["digits"] for question in backend.questions if question["event"] == "digits")
    assert digits == sorted(["4711"] * len(calls) + ["14711"])
