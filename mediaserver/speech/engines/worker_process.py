"""The loop of a `WorkerPool`'s worker process, and the framing of its requests and responses."""

import contextlib
import json
import os
import struct
from collections.abc import Callable
from typing import Any

from mediaserver.errors import MediaServerError, single_line
from mediaserver.support.processes import child_main

REQUEST = struct.Struct(">I")  # the size in bytes of the JSON that follows
RESPONSE = struct.Struct(
    ">?I"
)  # whether the job succeeded; the size in bytes of what follows, PCM or an error's text


def serve_jobs(make_worker: Callable[[], Callable[[dict[str, Any]], bytes]]) -> None:
    """Answer requests with PCM until the input ends, then exit.

    `make_worker` loads what the work needs, before the process reports that it is ready, and returns the function
    that does a job: it takes the job's JSON object, and returns PCM or raises EngineError.
    """
    requests, responses = child_main.open_channel()
    do_job = make_worker()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the serving process is gone
        child_main.report_ready(responses)
        while head := requests.read(REQUEST.size):
            succeeded, data = _run_job(do_job, requests.read(*REQUEST.unpack(head)))
            responses.write(RESPONSE.pack(succeeded, len(data)) + data)
            responses.flush()
    os._exit(0)  # a normal exit would complain of unwritten output, and wait for libraries' threads


def _run_job(do_job: Callable[[dict[str, Any]], bytes], request: bytes) -> tuple[bool, bytes]:
    """Do a job; return whether it succeeded, and its PCM or else the reason for its failure."""
    try:
        return True, do_job(json.loads(request))
    except MediaServerError as error:
        why = str(error)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    return False, single_line(why).encode(errors="replace")
