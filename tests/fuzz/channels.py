"""Kind `channel`: what comes from a peer that says it is Asterisk's WebSocket channel, and may be anything."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, get_args

from tests.fuzz import answers, frames, mutate
from tests.fuzz.dialogue import Ending, Script, hold
from tests.fuzz.lab import Lab
from tests.server.process import upgrade_request

_PATHS = ["/echo", "/record", "/menu", "/analyse", "/silence", "/forever", "/play/beep"]
_PROTOCOLS = ["media", "media", "media", "chat, media", "", "MEDIA", "media\t,", "\xff"]
_FORMATS = {"slin": 320, "ulaw": 160, "alaw": 160, "slin12": 480, "slin16": 640, "slin44": 1764, "slin192": 7680}
_EVENTS = [
    *("DTMF_END", "DTMF_END", "MEDIA_XOFF", "MEDIA_XON", "QUEUE_DRAINED", "STATUS", "ERROR", "MEDIA_START"),
    *("MEDIA_MARK_PROCESSED", "MEDIA_BUFFERING_COMPLETED", "MEDIA_STARTED", "media_start", ""),
]
_FIELDS = [
    "channel_id",
    "digit",
    "error_text",
    "correlation_id",
    "queue_length",
    "format",
    "connection_id",
    "event",
]
_DEPTHS = [3, 100, 700, 900, 980, 990, 1000, 1100, 5000]  # around what Python takes, and far beyond
_HALF = "\ud800"  # of a character, which JSON may hold
_MESSAGES = range(1, 1 << 17)  # bytes of a message of ours: whole frames of whatever size was named
_TEXT, _BINARY, _CLOSE = 1, 2, 8


@dataclass(frozen=True)
class Call:
    """A peer's handshake, and all that it says after it."""

    script: Script


def make(rng: Random) -> Call:
    """Most begin as a channel does; then texts and sound, good ones and others, cut into pieces anywhere."""
    as_json, parts = rng.random() < 0.5, []
    form = rng.choice(list(_FORMATS))
    if rng.random() < 0.3:
        parts.append(_sound(rng, form))
    if rng.random() < 0.9:
        parts.append(frames.frame(_TEXT, _start(rng, form, as_json)))
    parts += [rng.choice(_WAYS)(rng, form, as_json) for _ in range(int(14 * rng.random() ** 2))]
    parts += [frames.frame(_CLOSE, struct.pack(">H", 1000))] * rng.randrange(2)
    data = b"".join(parts)
    if rng.random() < 0.05:
        data = mutate.mutated(rng, data)
    offered = rng.choice(_PROTOCOLS)
    request = upgrade_request(rng.choice(_PATHS) + rng.choice(("", "?a=1&b=2", "?token=x&repeat")))
    if offered:
        request = request[:-2] + f"Sec-WebSocket-Protocol: {offered}\r\n\r\n".encode("latin-1")
    ending = rng.choices(get_args(Ending), (6, 6, 1))[0]
    return Call(Script(mutate.pieces(rng, data, 6), ending, request))


async def meet(call: Call, lab: Lab) -> None:
    """Say it to the server, which grants the upgrade, says nothing but commands and sound, and ends the stream."""
    heard = await hold(lab.server.port, call.script)
    first = answers.read(heard, _MESSAGES, commands=True)[:1]
    assert [answer.status for answer in first] in ([101], [400]), f"no stream: {heard[:300]!r}"


def _start(rng: Random, form: str, as_json: bool) -> bytes:
    """MEDIA_START: as it should be, or with something wrong."""
    fields: dict[str, Any] = {
        "connection_id": "media1",
        "channel": "WebSocket/media1/0x7f",
        "channel_id": "ws-1a2b3c4d",
        "format": form,
        "optimal_frame_size": _FORMATS[form] * rng.choice((1, 1, 1, 1, 2, 3, 50)) // rng.choice((1, 1, 1, 2)),
        "ptime": 20,
    }
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        fields[rng.choice([*fields, "x"])] = rng.choice(
            (*mutate.EXTREMES, *mutate.WORDS, "opus", _HALF, 1, 3, 319)
        )
    if not as_json:
        return _plain("MEDIA_START", fields)
    if rng.random() < 0.5:
        fields["channel_variables"] = _variables(rng)
    return _json(rng, {"event": "MEDIA_START", **fields})


def _variables(rng: Random) -> Any:
    return rng.choice(
        (
            {"a": "b", "c": 5, "d": 1.5, "e": None, "f": True},
            {mutate.word(rng): mutate.word(rng) for _ in range(20)},
            {_HALF: _HALF, "": "", "a": [_HALF]},
            [],
            "text",
            {"a": {"b": {"c": []}}},
        )
    )


def _event(rng: Random, _: str, as_json: bool) -> bytes:
    name = rng.choice(_EVENTS)
    fields: dict[str, Any] = {"channel_id": "ws-1a2b3c4d"}
    if name == "DTMF_END":
        fields["digit"] = rng.choice((*"0123456789ABCD*#a?", "", "12", _HALF, 5, None))
    for _more in range(rng.choice((0, 0, 1, 3))):
        fields[rng.choice(_FIELDS)] = rng.choice(
            (mutate.word(rng), rng.choice(mutate.EXTREMES), _HALF, None, [], {})
        )
    if rng.random() < 0.1:
        as_json = not as_json
    text = _json(rng, {"event": name, **fields}) if as_json else _plain(name, fields)
    return frames.frame(_TEXT, text) * rng.choice((1, 1, 1, 1, 2, 40))


def _plain(name: str, fields: dict[str, Any]) -> bytes:
    return " ".join([name, *(f"{key}:{value}" for key, value in fields.items())]).encode("utf-8", "replace")


def _json(rng: Random, members: dict[str, Any]) -> bytes:
    text = json.dumps(members)
    if rng.random() < 0.15:  # as deep as it gets; json.dumps itself would not go there
        depth = rng.choice(_DEPTHS) + rng.randrange(20)
        pair = rng.choice((("[", "]"), ('{"a":', "}")))
        deep = pair[0] * depth + "1" + pair[1] * rng.choice((depth, depth, depth - 1))
        place = rng.choice(('"channel_variables":{"a":', '"x":', '"format":'))
        text = text[:-1] + f", {place}{deep}" + ("}}" if place.endswith('{"a":') else "}")
    return text.encode()


def _anything(rng: Random, _: str, __: bool) -> bytes:
    text = rng.choice(
        (
            mutate.word(rng).encode(),
            mutate.noise(rng, 4000),
            b"{",
            b"MEDIA_START " * 3000,
            b"{" * 70_000,
            b"1" * 5000,
        )
    )
    return frames.frame(_TEXT, text)


def _broken(rng: Random, form: str, as_json: bool) -> bytes:
    return frames.frame(_TEXT, mutate.mutated(rng, _start(rng, form, as_json)))


def _sound(rng: Random, form: str, _: bool = False) -> bytes:
    size = _FORMATS[form]
    size = rng.choice((size, size, size, size, size // 2, size - 1, 1, 0, 3 * size, 60_000))
    return frames.frame(
        _BINARY, rng.choice((bytes(size), rng.randbytes(size))), key=rng.randbytes(4)
    ) * rng.choice((1, 1, 5))


def _frames(rng: Random, _: str, __: bool) -> bytes:
    return frames.stream(rng)


_WAYS: list[Callable[[Random, str, bool], bytes]] = [
    *(_sound, _sound, _sound, _event, _event, _event, _event, _anything, _broken, _frames),
]
