"""The loop of a `WorkerPool`'s worker process, and the framing of its requests and responses."""

import contextlib
import json
import os
import struct
from collections.abc import Callable
from typing import Any

from mediaserver.errors import MediaServerError, single_line
from mediaserver.support.processes import child_main

# The header of a request: the size in bytes of the JSON object that follows.
REQUEST = struct.Struct(">I")
# The header of a response: whether the job succeeded, and the size in bytes of the PCM or error text that follows.
RESPONSE = struct.Struct(">?I")


def serve_jobs(make_worker: Callable[[], Callable[[dict[str, Any]], bytes]]) -> None:
    """Answer the serving process's requests with PCM until its socket is closed, then end this process.

    `make_worker` is called before this process reports that it is ready. It loads the engine, and returns the
    function that does a job. That function takes the job's JSON object, and returns PCM or raises EngineError.
    """
    requests, responses = child_main.open_channel()
    do_job = make_worker()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the serving process has ended
        child_main.report_ready(responses)
        while head := requests.read(REQUEST.size):
            succeeded, data = _run_job(do_job, requests.read(*REQUEST.unpack(head)))
            responses.write(RESPONSE.pack(succeeded, len(data)) + data)
            responses.flush()
    os._exit(0)  # a normal exit would report unwritten output as an error, and wait for the libraries' threads


def _run_job(do_job: Callable[[dict[str, Any]], bytes], request: bytes) -> tuple[bool, bytes]:
    """Do a job; return whether the job succeeded, and its PCM or else the reason for its failure."""
    try:
        return True, do_job(json.loads(request))
    except MediaServerError as error:
        why = str(error)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    return False, single_line(why).encode(errors="replace")
