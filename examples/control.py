"""Prints the events of all calls, and plays a beep to each caller who presses 9: `python control.py`.

The environment variable ADMIN_URL is the URL of the admin port. ADMIN_TOKEN is a token with the scopes `read` and
`control`, if the port asks for a token.
"""

import asyncio
import os

import aiohttp

API = os.environ.get("ADMIN_URL", "http://127.0.0.1:8081") + "/v1"
HEADERS = {"Authorization": f"Bearer {token}"} if (token := os.environ.get("ADMIN_TOKEN")) else {}


async def main() -> None:
    """Follow the events until the server ends them."""
    async with (
        aiohttp.ClientSession(headers=HEADERS) as client,
        client.ws_connect(f"{API}/events?type=stream.*,digits,playback.done") as events,
    ):
        async for message in events:
            event = message.json()
            print(event["type"], event.get("stream"), event.get("data"), flush=True)  # noqa: T201 - what the program is for
            if event["type"] == "digits" and "9" in event["data"].get("digits", ""):
                play = {"play": "beep", "interrupt": True}
                await client.post(f"{API}/streams/{event['stream']}/play", json=play)


if __name__ == "__main__":
    asyncio.run(main())
