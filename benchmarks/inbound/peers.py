"""Many two-way peers of a media server in one cheap process, and what they cost it.

    python -m benchmarks.inbound.peers PORT PATH PID [--streams 300] [--seconds 4] [--encapsulation audiosocket]

Every peer sends one frame of speech every 20 ms, masked as a client must, and counts the bytes that come back. All
say the same at the same time, so that a message is made once for all of them. After a warm-up, the CPU time of the
process PID is taken over some seconds. One line of JSON tells:

    share      of the messages that they had to write
    heard      share of the messages that they were to be sent
    waiting    bytes written that the server has not taken
    cpu        share of a core that the server used
    us         microseconds of its CPU time for a message written
"""

import argparse
import asyncio
import base64
import json
import os
import wave
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.machine import cpu_seconds
from benchmarks.yardsticks import SLOTS
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, PTIME
from mediaserver.wire import audiosocket, rtp, websocket

HANDSHAKE = 5.0  # seconds for a server to answer one
KEY = bytes.fromhex("9d1b66e2")  # a client's key should be random; to unmask, one costs as much as another
SPEECH = Path(__file__).resolve().parent.parent.parent / "prompts" / "welcome.wav"


class Script:
    """What all peers say."""

    def __init__(self, encapsulation: str) -> None:
        self._is_rtp = encapsulation == "rtp"
        with wave.open(str(SPEECH)) as file:
            pcm = file.readframes(file.getnframes())
        self._frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]
        self.message = lru_cache(maxsize=2)(self._message)  # the slots of one ptime say the same

    def payload(self, number: int) -> bytes:
        """What the message of a number holds: an AudioSocket message, or an RTP packet of L16."""
        pcm = self._frames[number % len(self._frames)]
        if not self._is_rtp:
            return audiosocket.serialize(audiosocket.Message(audiosocket.Kind.SLIN, pcm))
        timestamp = number * FRAME_SAMPLES & 0xFFFFFFFF
        return rtp.serialize(rtp.Packet(rtp.PayloadType.L16, number & 0xFFFF, timestamp, 0, pcm))

    def _message(self, number: int) -> bytes:
        return websocket.mask(websocket.binary(self.payload(number)), KEY)


class Peer(asyncio.Protocol):
    """One stream: raw bytes on a TCP connection, after the handshake."""

    transport: asyncio.WriteTransport

    def __init__(self, path: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.upgraded: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.received = 0

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        """Count what comes; the first of it is the answer to the handshake."""
        self.received += len(data)
        if not self.upgraded.done():
            self.upgraded.set_result(data)


class Peers:
    """All peers, and the one timer that lets them speak."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._peers: list[Peer] = []
        self.sent = 0

    async def connect(self, port: int, path: str, count: int) -> None:
        """Upgrade so many connections, one after another."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, peer = await loop.create_connection(lambda: Peer(path), "127.0.0.1", port)
            answer = await asyncio.wait_for(peer.upgraded, HANDSHAKE)
            if not answer.startswith(b"HTTP/1.1 101 "):
                raise SystemExit(f"refused: {answer!r}")
            self._peers.append(peer)

    async def speak(self) -> None:
        """Send, slot after slot, until cancelled; what is late is caught up."""
        loop, message = asyncio.get_running_loop(), self._script.message
        slots = [[peer.transport.write for peer in self._peers[slot::SLOTS]] for slot in range(SLOTS)]
        begun, step = loop.time(), 0
        while True:
            due = int((loop.time() - begun) / PTIME * SLOTS) + 1
            for number, slot in (divmod(at, SLOTS) for at in range(step, due)):
                data = message(number)
                for write in slots[slot]:
                    write(data)
                self.sent += len(slots[slot])
            step = due
            await asyncio.sleep(max(0.0, begun + step * PTIME / SLOTS - loop.time()))

    @property
    def received(self) -> int:
        """Bytes that came, over all peers."""
        return sum(peer.received for peer in self._peers)

    @property
    def waiting(self) -> int:
        """Bytes that the server has not made room for."""
        return sum(peer.transport.get_write_buffer_size() for peer in self._peers)


async def run(arguments: argparse.Namespace) -> None:
    """Connect, warm up, measure, tell."""
    loop, script = asyncio.get_running_loop(), Script(arguments.encapsulation)
    peers = Peers(script)
    await peers.connect(arguments.port, arguments.path, arguments.streams)
    speaking = asyncio.create_task(peers.speak())
    await asyncio.sleep(arguments.warmup)
    before = loop.time(), cpu_seconds(arguments.pid), peers.sent, peers.received
    await asyncio.sleep(arguments.seconds)
    after = loop.time(), cpu_seconds(arguments.pid), peers.sent, peers.received
    seconds, cpu, sent, received = (late - early for late, early in zip(after, before, strict=True))
    waiting, _ = peers.waiting, speaking.cancel()
    expected = seconds / PTIME * arguments.streams
    size = len(websocket.binary(script.payload(0)))
    result = {
        "share": sent / expected,
        "heard": received / size / expected,
        "waiting": waiting,
        "cpu": cpu / seconds,
        "us": cpu / sent * 1e6,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("pid", type=int)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--encapsulation", choices=("audiosocket", "rtp"), default="audiosocket")
    uvloop.run(run(parser.parse_args()))
