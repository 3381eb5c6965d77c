"""A voice bot for `protocol = "pcm"` that repeats what it hears and hangs up at key 0: `python pcm_bot.py`."""

from aiohttp import WSMsgType, web


async def bot(request: web.Request) -> web.WebSocketResponse:
    """Serve one call."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        if message.type == WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
        elif message.json() == {"event": "dtmf", "digit": "0"}:
            break  # closes the WebSocket
    return websocket


app = web.Application()
app.router.add_get("/{name:.*}", bot)
if __name__ == "__main__":
    # Only this machine can connect, because the bot asks for no token.
    web.run_app(app, host="127.0.0.1", port=8765)
