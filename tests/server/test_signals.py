"""A signal that arrives while the event loop handles another."""

import subprocess
import sys

from tests.timing import PATIENCE

# The event loop learns of signals from a socket. SIGUSR2 arrives when the loop has just read that SIGUSR1 came.
PROGRAM = """
import asyncio, os, signal, socket

class Socket(socket.socket):
    read_first = False
    def recv(self, size):
        try:
            data = super().recv(size)
        except BlockingIOError:
            if self.read_first:
                self.read_first = False
                os.kill(os.getpid(), signal.SIGUSR2)
            raise
        self.read_first = signal.SIGUSR1 in data
        return data

socketpair = socket.socketpair
socket.socketpair = lambda: [Socket(fileno=each.detach()) for each in socketpair()]

import uvloop
from mediaserver.server import signals

async def run():
    came, last = [], asyncio.Event()
    handlers = {
        signal.SIGUSR1: lambda: came.append("first"),
        signal.SIGUSR2: lambda: came.append("second"),
        signal.SIGHUP: last.set,
    }
    before = [signal.getsignal(number) for number in handlers]
    with signals.handling(handlers):
        os.kill(os.getpid(), signal.SIGUSR1)
        while "second" not in came:
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGHUP)
        await last.wait()
    assert [signal.getsignal(number) for number in handlers] == before
    print(*came)

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(run())
"""


def test_a_signal_that_arrives_just_after_another_is_handled_once() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.stdout, ended.stderr) == ("first second\n", "")
