"""Starts `mediaserver` as a fork of a process that has imported it already.

Importing takes a second of the processor's time, and tests start hundreds of servers and commands. The fork is a
process of its own in all that tests look at: arguments, environment, folder, standard streams, signals, exit code.
What importing itself does needs a process of `subprocess`.
"""

import functools
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.timing import PATIENCE

MEDIASERVER = (sys.executable, "-m", "mediaserver")
_READ_AT_IMPORT = "SSL_CERT_FILE"  # by aiohttp
_STEP = 0.005  # seconds between two looks for the end of a process


class PreloadedProcess(subprocess.Popen[Any]):
    """Like `Popen`, for a command that begins with `MEDIASERVER`; the process is a child of the preloaded one."""

    def _execute_child(self, args: Sequence[str], *others: Any) -> None:
        assert tuple(args[:3]) == MEDIASERVER
        _, _, _, _, cwd, env, _, _, _, *pipes = others
        pipes = pipes[:6]  # each pipe's ends, the child's and ours, and -1 where there is no pipe
        p2cread, _, _, c2pwrite, _, errwrite = pipes
        request = {
            "arguments": list(args[3:]),
            "environment": dict(os.environ if env is None else env),
            "folder": str(Path.cwd() if cwd is None else cwd),
        }
        streams = [given if given >= 0 else own for own, given in enumerate((p2cread, c2pwrite, errwrite))]
        self.pid = int(_preloaded_process().ask("start", request, streams))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None:
            status = _preloaded_process().ask("status", self.pid)
            if status is not None:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._internal_poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(_STEP)
        return self.returncode


def popen(command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a command; one that begins with `MEDIASERVER` is forked from the preloaded process if it can be."""
    variables = options.get("env") or os.environ
    imported_alike = variables.get(_READ_AT_IMPORT) == os.environ.get(_READ_AT_IMPORT)
    fork = tuple(command[:3]) == MEDIASERVER and imported_alike
    return (PreloadedProcess if fork else subprocess.Popen)(list(command), **options)


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of `mediaserver` to its end, and return its output and exit code."""
    command = [*MEDIASERVER, *map(str, arguments)]
    variables = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment
    pipe = subprocess.PIPE
    with popen(command, stdout=pipe, stderr=pipe, text=True, cwd=cwd, env=variables) as process:
        try:
            out, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


class _Preloaded:
    """Our end of the preloaded process: it forks when asked, and waits for what it forked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            # rich looks these two up once while it is imported, and again later only where it found none.
            variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
            variables["OPENBLAS_NUM_THREADS"] = "1"  # a process with threads is better not forked
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=variables)
        self._process.returncode = 0  # else Popen warns at our exit that it still runs; it ends as the socket does

    def ask(self, what: str, value: Any, streams: Sequence[int] = ()) -> Any:
        """Send a request, with the standard streams of a command to start; return the answer."""
        message = json.dumps([what, value]).encode()
        # A long message does not fit into one packet of the socket.
        with os.fdopen(os.memfd_create("request"), "wb", 0) as file:
            file.write(message)
            with self._lock:
                socket.send_fds(self._socket, [b"!"], [file.fileno(), *streams])
                answer = self._socket.recv(64)
        assert answer, "the preloaded process is gone"
        return json.loads(answer)


@functools.cache
def _preloaded_process() -> _Preloaded:
    return _Preloaded()


def _serve(requests: socket.socket) -> None:
    """Fork for each request. Return in the fork, which is to become the command, and when the tests are over."""
    while True:
        data, received, _, _ = socket.recv_fds(requests, 1, 4)
        if not data:
            sys.exit()
        with os.fdopen(received[0], "rb") as file:
            file.seek(0)
            what, value = json.loads(file.read())
        if what == "start":
            answer: int | None = os.fork()
            if not answer:
                requests.close()
                return _become(received[1:], **value)
            for stream in received[1:]:
                os.close(stream)
        else:
            pid, status = os.waitpid(value, os.WNOHANG)
            answer = status if pid else None
        requests.send(json.dumps(answer).encode())


def _become(streams: Sequence[int], arguments: list[str], environment: Mapping[str, str], folder: str) -> None:
    """Take over all by which a process that was started in the usual way would differ from this one."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *sys.path[1:]]
    sys.argv = ["mediaserver", *arguments]
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115


if __name__ == "__main__":
    importlib.import_module("mediaserver.cli.main")  # what takes long
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("mediaserver", run_name="__main__", alter_sys=True)
