"""Inbound audio of a faulty platform: packet loss, frames without pacing, malformed messages."""

from pathlib import Path

import pytest

from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.call import EndReason
from mediaserver.call.inbound import monitor
from mediaserver.client import connection
from tests.client.attached import Attached, desk
from tests.sound import read_wav, speechlike
from tests.timing import UNIT, eventually
from tests.twin import Faults, Twin, coded, oddities, seeded_fates

PCM = to_bytes(speechlike(16_000, 5))
MULAW = coded(PCM)  # what the platform's µ-law leaves of it
PATHS = """
[paths."/record"]
handler = "record"
directory = "DIRECTORY"
file = "a.wav"
[paths."/echo"]
handler = "echo"
delay_ms = 1000
[paths."/silence"]
handler = "silence"
"""


def paths(directory: Path) -> str:
    return PATHS.replace("DIRECTORY", str(directory))


@pytest.mark.parametrize("encapsulation", ["audiosocket", "sln", "rtp"])
async def test_echo_sends_back_every_sample(tmp_path: Path, twin: Twin, encapsulation: str) -> None:
    call = twin.call(uuid_first=True)
    async with desk(tmp_path, twin, paths(tmp_path)) as ours:
        attached = await ours.attach(f"calls/{call.id}", "/echo", encapsulation=encapsulation)
        stream = await call.stream()
        await eventually(lambda: len(stream.heard_at) > 5)
        await stream.say_until_echoed(PCM, lambda: MULAW in stream.heard)
        call.hang_up()
        assert (await attached.end()).normal
    assert stream.errors == []


async def test_a_relay_that_does_not_pace_is_recorded_whole(tmp_path: Path, twin: Twin) -> None:
    call = twin.call()
    async with desk(tmp_path, twin, paths(tmp_path)) as ours:
        attached = await ours.attach(f"calls/{call.id}", "/record")
        stream = await call.stream()
        await eventually(lambda: len(stream.heard_at) > 5)
        burst = to_bytes(speechlike(160_000, 6))  # twenty seconds at once
        stream.say(burst, paced=False)
        await eventually(lambda: not (stream.speaking or stream.unsent))
        call.hang_up()
        assert (await attached.end()).normal
    assert coded(burst) in to_bytes(read_wav(tmp_path / "a.wav"))


def polled(attached: Attached) -> bool:
    """Whether the frames of a stream are left to the poller now."""
    line = attached.attachment._line
    return line is not None and line._websocket._frames is not None and line._websocket._frames.polled


async def test_what_is_said_is_recorded_whole_where_connections_break_that_are_polled(
    tmp_path: Path, twin: Twin
) -> None:
    call = twin.call()
    sounds = [to_bytes(speechlike(3200, seed)) for seed in (1, 2, 3)]
    async with desk(tmp_path, twin, paths(tmp_path)) as ours:
        attached = await ours.attach(f"calls/{call.id}", "/record")
        for sound in sounds:
            stream = await call.stream()
            await eventually(lambda: polled(attached))
            stream.say(sound)
            await eventually(lambda: not stream.speaking)  # noqa: B023
            stream.cut()
        await call.stream()
        await eventually(lambda: polled(attached))
        call.hang_up()
        assert (await attached.end()).normal
        assert attached.session.reconnects == 3
    recorded = to_bytes(read_wav(tmp_path / "a.wav"))
    places = [recorded.find(coded(sound)) for sound in sounds]
    assert places[0] >= 0
    assert places == sorted(places)


async def test_lost_packets_are_concealed_and_late_ones_are_reordered(tmp_path: Path, twin: Twin) -> None:
    call = twin.call(quiet=True)
    call.faults = Faults(fates=seeded_fates(3, loss=0.05, reorder=0.05, duplicate=0.05))
    async with desk(tmp_path, twin, paths(tmp_path)) as ours:
        attached = await ours.attach(f"calls/{call.id}", "/record", encapsulation="rtp")
        stream = await call.stream()
        await eventually(lambda: attached.session.frames > 5)
        stream.say(PCM)
        await eventually(lambda: not stream.speaking)
        sent = len(PCM) // 320 - len(stream.road.lost) + len(stream.road.doubled)
        await eventually(
            lambda: attached.session.receiver.received >= sent - 1
        )  # a last one that is late never comes
        call.hang_up()
        await attached.end()
        packets = attached.session.receiver.packets
    frames = from_bytes(MULAW).reshape(-1, 160)
    recorded = read_wav(tmp_path / "a.wav").reshape(-1, 160)
    lost = len(stream.road.lost)
    assert lost > 0
    assert stream.road.late
    assert stream.road.doubled
    # frame by frame: each is itself, but for a cross-fade of 10 ms after a loss, or something else where its
    # packet was lost; a loss at either end is not seen
    concealed = {n for n in range(len(recorded)) if (recorded[n, 80:] != frames[n, 80:]).any()}
    assert all((recorded[n] == frames[n]).all() for n in range(len(recorded)) if not {n, n - 1} & concealed)
    assert len(recorded) >= len(frames) - 3
    assert packets.lost == len(concealed)
    assert abs(packets.lost - lost) <= 2
    assert packets.duplicate == len(stream.road.doubled)
    assert packets.late == 0


@pytest.mark.parametrize(("encapsulation", "malformed"), [("audiosocket", 8), ("sln", 1), ("rtp", 9)])
async def test_malformed_messages_are_counted_and_nothing_else(
    tmp_path: Path, twin: Twin, encapsulation: str, malformed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Any number of bytes without a header is µ-law, but for none."""
    odd = [message for name, message in oddities(encapsulation).items() if name != "far too long"]
    call = twin.call()
    async with desk(tmp_path, twin, paths(tmp_path)) as ours:
        attached = await ours.attach(f"calls/{call.id}", "/record", encapsulation=encapsulation)
        stream = await call.stream()
        await eventually(lambda: len(stream.heard_at) > 5)
        await stream.inject(*odd)
        stream.say(PCM)
        await eventually(lambda: not stream.speaking)
        call.hang_up()
        end = await attached.end()
        summary = attached.session.summary()
    assert end.reason == EndReason.PEER_CLOSED
    assert summary["malformed"] == malformed
    said = capfd.readouterr().out
    assert f"messages of the far end were not {encapsulation}, and left out: " in said  # as most could be read
    assert "peer sends text messages" in said
    if encapsulation != "rtp":  # there an oddity may be a packet far off
        assert MULAW in to_bytes(read_wav(tmp_path / "a.wav"))


async def test_a_platform_that_sends_nothing_is_reported(
    tmp_path: Path, twin: Twin, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(monitor, "_CHECK_INTERVAL", 0.1 * UNIT)
    monkeypatch.setattr(monitor, "NO_AUDIO_AFTER", 0.2 * UNIT)
    call = twin.call(quiet=True)
    async with desk(tmp_path, twin, paths(tmp_path)) as ours:
        attached = await ours.attach(f"calls/{call.id}", "/silence")
        stream = await call.stream()
        await eventually(lambda: attached.session.inbound_problems)
        assert len(stream.heard_at) > 5
        call.hang_up()
        await attached.end()
    assert attached.session.inbound_problems == ["no-audio"]
    said = "no audio received in 5 s: is the call answered, and the encapsulation right?"
    assert capfd.readouterr().out.count(said) == 1


async def test_a_platform_that_stops_answering_is_dialled_again(
    tmp_path: Path, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is half-open: the peer neither reads nor closes. Pings find that."""
    monkeypatch.setattr(connection, "_PONG_TIMEOUT", 0.5 * UNIT)
    call = twin.call()
    async with desk(tmp_path, twin, paths(tmp_path)) as ours:
        attached = await ours.attach(f"calls/{call.id}", "/silence")
        first = await call.stream()
        await eventually(lambda: len(first.heard_at) > 5)
        first.stall()
        second = await call.stream()
        await eventually(lambda: len(second.heard_at) > 5)
        assert attached.session.lost > 0
        call.hang_up()
        await attached.end()
