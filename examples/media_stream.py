"""Stands in for a call at VoIPBIN, to try `mediaserver attach`: `python media_stream.py caller.wav heard.wav`.

The caller says caller.wav (WAV, 8 kHz, 16 bits, mono, such as `mediaserver say` writes), and is silent then. What
the server plays goes into heard.wav. All calls and tokens are accepted. As at VoIPBIN, the caller's audio comes
as µ-law in AudioSocket messages, and the server's audio goes back as linear PCM.
"""

import array
import asyncio
import contextlib
import sys
import wave
from pathlib import Path

from aiohttp import WSMsgType, web

FRAME = 160  # samples in 20 ms
AUDIO = b"\x10"  # the kind of an AudioSocket message with audio; behind it come two bytes of length
SILENCE = b"\xff"  # in µ-law
CALLER = web.AppKey("caller", bytes)
HEARD = web.AppKey("heard", Path)
CALLS: dict[str, web.WebSocketResponse] = {}


async def media_stream(request: web.Request) -> web.StreamResponse:
    """Relay the audio of one call, until the server closes the stream, or hangs the call up."""
    if request.query.get("encapsulation") != "audiosocket":
        raise web.HTTPBadRequest(text="this program has the encapsulation audiosocket only")
    call = request.match_info["id"]
    websocket = CALLS[call] = web.WebSocketResponse()
    await websocket.prepare(request)
    print(f"call {call}: attached", flush=True)  # noqa: T201 - what the program is for
    speaking = asyncio.create_task(speak(websocket, request.app[CALLER]))
    frames = 0
    try:
        with wave.open(str(request.app[HEARD]), "wb") as heard:
            heard.setparams((1, 2, 8000, 0, "NONE", ""))
            async for message in websocket:
                if message.type == WSMsgType.BINARY and message.data[:1] == AUDIO:
                    heard.writeframes(message.data[3:])
                    frames += 1
    finally:
        speaking.cancel()
        CALLS.pop(call, None)
    print(f"call {call}: over after {frames / 50:.2f} s, closed with {websocket.close_code}", flush=True)  # noqa: T201
    return websocket


async def speak(websocket: web.WebSocketResponse, codes: bytes) -> None:
    """Send a frame every 20 ms: the caller's codes first, and then silence."""
    clock = asyncio.get_running_loop().time
    began, sent = clock(), 0
    with contextlib.suppress(ConnectionError):  # the server has closed the stream
        while True:
            frame = codes[sent * FRAME : (sent + 1) * FRAME].ljust(FRAME, SILENCE)
            await websocket.send_bytes(AUDIO + FRAME.to_bytes(2, "big") + frame)
            sent += 1
            await asyncio.sleep(began + sent / 50 - clock())


async def hang_up(request: web.Request) -> web.Response:
    """Hang up a call, which ends its stream."""
    call = request.match_info["id"]
    print(f"call {call}: hung up", flush=True)  # noqa: T201
    if (websocket := CALLS.get(call)) is not None:
        await websocket.close()
    return web.json_response({})


def mulaw(sample: int) -> int:
    """The µ-law code of a sample of 16 bits (ITU-T G.711)."""
    magnitude = min(abs(sample >> 2) + 33, 0x1FFF)
    segment = magnitude.bit_length() - 6
    return ~((sample < 0) << 7 | segment << 4 | magnitude >> (segment + 1) & 15) & 0xFF


def make_app(caller: Path, heard: Path) -> web.Application:
    """The server: the part of VoIPBIN's API that attach uses."""
    with wave.open(str(caller)) as said:
        if said.getparams()[:3] != (1, 2, 8000):
            sys.exit(f"{caller} should be a WAV file of 8 kHz, 16 bits, mono")
        samples = array.array("h", said.readframes(said.getnframes()))
    app = web.Application()
    app[CALLER], app[HEARD] = bytes(map(mulaw, samples)), heard
    app.router.add_get("/v1.0/{kind:calls|conferences}/{id}/media_stream", media_stream)
    app.router.add_post("/v1.0/calls/{id}/hangup", hang_up)
    return app


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: media_stream.py caller.wav heard.wav")
    # Only this machine can connect, because no token is checked.
    web.run_app(make_app(Path(sys.argv[1]), Path(sys.argv[2])), host="127.0.0.1", port=8766)
