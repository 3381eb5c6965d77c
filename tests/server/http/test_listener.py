"""A listener holds on while there is no room, and is never deaf for good."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator

from mediaserver.server.http.listener import Keys, Listener
from tests.timing import eventually


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """The process has used up its descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_who_comes_while_there_is_no_room_is_taken_later() -> None:
    made: list[asyncio.Protocol] = []
    looks, room = 0, False

    def make() -> asyncio.Protocol:
        made.append(asyncio.Protocol())
        return made[-1]

    def has_room() -> bool:
        nonlocal looks
        looks += 1
        return room

    listener = Listener(make, room=has_room)
    port = await listener.open("127.0.0.1", 0, Keys("server.host", "server.port"))
    callers = [socket.create_connection(("127.0.0.1", port))]
    try:
        await eventually(lambda: looks > 2)
        callers.append(socket.create_connection(("127.0.0.1", port)))
        with no_descriptors_left():
            room, before = True, looks
            await eventually(lambda: looks > before + 1)  # it finds room, cannot accept, and looks again
            assert len(made) == 1
        await eventually(lambda: len(made) == 2)
    finally:
        for caller in callers:
            caller.close()
        await listener.close()
