"""A listener accepts nothing while there is no room, and goes on when there is."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator

from mediaserver.server.http.listener import AddressKeys, Listener
from tests.timing import eventually


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let the process have no free file descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_connections_that_come_without_room_are_accepted_later() -> None:
    made: list[asyncio.Protocol] = []
    polls, room = 0, False

    def make() -> asyncio.Protocol:
        made.append(asyncio.Protocol())
        return made[-1]

    def has_room() -> bool:
        nonlocal polls
        polls += 1
        return room

    listener = Listener(make, has_room=has_room)
    port = await listener.open("127.0.0.1", 0, AddressKeys("server.host", "server.port"))
    callers = [socket.create_connection(("127.0.0.1", port))]
    try:
        await eventually(lambda: polls > 2)
        callers.append(socket.create_connection(("127.0.0.1", port)))
        with no_descriptors_left():
            room, before = True, polls
            await eventually(lambda: polls > before + 1)  # the listener finds room, cannot accept, and polls again
            assert len(made) == 1
        await eventually(lambda: len(made) == 2)
    finally:
        for caller in callers:
            caller.close()
        await listener.close()


async def test_who_connects_while_the_listener_closes_is_accepted() -> None:
    """What takes time comes before the last look into the backlog, as the kernel resets what comes after it."""
    made: list[asyncio.Transport] = []
    callers: list[socket.socket] = []

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            made.append(transport)

    class Slow(Listener):
        def _stop_accepting(self) -> None:
            super()._stop_accepting()
            callers.append(socket.create_connection(("127.0.0.1", port)))

    listener = Slow(Protocol)
    port = await listener.open("127.0.0.1", 0, AddressKeys("server.host", "server.port"))
    await listener.close()
    try:
        await eventually(lambda: made)
        callers[0].sendall(b"hello")  # it was not reset
    finally:
        for caller in callers:
            caller.close()
        for transport in made:
            transport.abort()
        await asyncio.sleep(0)
