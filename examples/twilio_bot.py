"""A voice bot for `protocol = "twilio"` that repeats what it hears: `python twilio_bot.py`."""

import json
from typing import Any

from aiohttp import WSMsgType, web


async def bot(request: web.Request) -> web.WebSocketResponse:
    """Serve one call."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        event: dict[str, Any] = json.loads(message.data) if message.type == WSMsgType.TEXT else {"event": "none"}
        if event["event"] == "media":
            answer: dict[str, Any] = {
                "event": "media",
                "streamSid": event["streamSid"],
                "media": {"payload": event["media"]["payload"]},
            }
            await websocket.send_json(answer)
    return websocket


app = web.Application()
app.router.add_get("/{name:.*}", bot)
if __name__ == "__main__":
    # Only this machine can connect, because the bot asks for no token.
    web.run_app(app, host="127.0.0.1", port=8765)
