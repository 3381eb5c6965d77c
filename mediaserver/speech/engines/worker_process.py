"""The other end of a `Workshop`: what its children's modules have in common. Runs in them alone."""

import contextlib
import json
import os
import struct
from collections.abc import Callable
from typing import Any

from mediaserver.errors import MediaServerError, one_line
from mediaserver.support import child_process

REQUEST = struct.Struct(">I")  # bytes of JSON, which follow
ANSWER = struct.Struct(">?I")  # whether there is sound, and the bytes that follow: PCM, or why there is none


def serve(made: Callable[[], Callable[[dict[str, Any]], bytes]]) -> None:
    """Answer requests with PCM until the input ends. `made` makes what answers them, by PCM or an EngineError."""
    requests, answers = child_process.begin()
    answer = made()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody is there any more
        child_process.ready(answers)
        while head := requests.read(REQUEST.size):
            good, data = _answered(answer, requests.read(*REQUEST.unpack(head)))
            answers.write(ANSWER.pack(good, len(data)) + data)
            answers.flush()
    os._exit(0)  # without a word on what is left to be written, and whatever a library has running


def _answered(answer: Callable[[dict[str, Any]], bytes], request: bytes) -> tuple[bool, bytes]:
    try:
        return True, answer(json.loads(request))
    except MediaServerError as error:
        why = str(error)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    return False, one_line(why).encode(errors="replace")
