"""Hundreds of peers with faults, round after round: the process does not grow."""

import asyncio
import threading
from pathlib import Path

from tests.faults import peers
from tests.faults.beside import counting_server, nothing_more, resident
from tests.faults.peers import AUDIO, GARBAGE, flood_of, frame, leave_after, say
from tests.server.process import ServerProcess

ROUNDS, PEERS = 4, 12
PER_CONNECTION = 15_000  # bytes; an idle stream has half as many again
FAULTS = [
    say(GARBAGE),
    say(frame(bytes(65_537))),
    leave_after(AUDIO[:100]),
    flood_of(AUDIO),
    flood_of(frame(b"")),
    peers.half_open_after_an_answer,
]


async def rounds(server: ServerProcess) -> None:
    """Several, all faults at once."""
    for _ in range(ROUNDS):
        over = threading.Event()
        asyncio.get_running_loop().call_later(1, over.set)
        await asyncio.to_thread(
            peers.misbehave, server.port, [("/silence", fault) for fault in FAULTS] * PEERS, over
        )


async def test_memory(tmp_path: Path) -> None:
    with counting_server(tmp_path, heartbeat=0.2, stall_timeout=0.2) as server:
        await rounds(server)
        held, warm = await nothing_more(server), resident(server)
        await rounds(server)
        assert await nothing_more(server, expected=held) == held
        # A busy machine is still closing connections when the peers have gone, so what is measured is what stays.
        assert resident(server) - warm < ROUNDS * PEERS * len(FAULTS) * PER_CONNECTION
