"""Creates and updates flows at VoIPBIN, by its REST API.

The requests are those that the platform's public API description has: `GET /flows` by pages, `POST /flows`, and
`PUT /flows/{id}`, with the credential in the query as for media streams.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from mediaserver.client.flows.builder import Actions
from mediaserver.client.voipbin import Credential
from mediaserver.errors import PeerError, error_text, single_line
from mediaserver.support.http_connector import Connector

_TIMEOUT = 15.0  # the time limit in seconds for one request to the platform
# The number of flows on one page of the platform's list (at most 100), and the maximum number of pages to read.
_PAGE, _MAX_PAGES = 100, 50
_MAX_SHOWN = 200  # the maximum number of characters of the platform's answer that an error message shows
_REASONS = {
    401: "the {name} is not accepted: check that {setting} is valid and not expired",
    403: "the {name} may not do this: check that it is of the right account",
    429: "too many requests: try again later",
}


class StoredFlow(NamedTuple):
    """A flow that was stored at the platform: its id, and whether it was created (True) or updated (False)."""

    id: str
    created: bool


async def store_flow(api: str, credential: Credential, name: str, detail: str, actions: Actions) -> StoredFlow:
    """Create a flow with this name at the platform, or update the flow that has this name.

    `api` is the base of the platform's URLs. PeerError if the platform cannot be reached, if it refuses a request,
    or if it has several flows with this name.
    """
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    async with aiohttp.ClientSession(connector=Connector(), timeout=timeout) as http:
        client = _Client(http, api, credential, _fetched_paths(actions))
        body = {"name": name, "detail": detail, "actions": actions}
        known = await client.flows_named(name)
        if len(known) > 1:
            raise PeerError(f"there are {len(known)} flows named {name}: {', '.join(known)}; give another name")
        if known:
            await client.request("PUT", f"flows/{known[0]}", body)
            return StoredFlow(known[0], created=False)
        return StoredFlow(_id_of(await client.request("POST", "flows", body)), created=True)


class _Client:
    """Sends requests with the credential. No error shows the credential, or any of the texts in `hidden`."""

    def __init__(
        self, http: aiohttp.ClientSession, api: str, credential: Credential, hidden: Sequence[str] = ()
    ) -> None:
        self._http, self._api, self._credential = http, api.rstrip("/"), credential
        self._hidden = (credential.secret, *hidden)

    async def flows_named(self, name: str) -> list[str]:
        """The ids of all flows with this name."""
        found: list[str] = []
        token = ""
        for _ in range(_MAX_PAGES):
            page = await self.request("GET", "flows", page_size=_PAGE, **({"page_token": token} if token else {}))
            listed = page.get("result")
            if not isinstance(listed, list | None):
                raise PeerError("the platform's list of flows cannot be understood")
            found += [_id_of(each) for each in listed or [] if isinstance(each, dict) and each.get("name") == name]
            token = str(page.get("next_page_token") or "")
            if not listed or not token:
                break
        return found

    async def request(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Send a request, and return the JSON object with which the platform answers."""
        credential = self._credential
        url = URL(f"{self._api}/{path}", encoded=True).with_query(
            {**query, credential.parameter: credential.secret}
        )
        try:
            async with self._http.request(method, url, json=body, allow_redirects=False) as response:
                status, text = response.status, await response.text(errors="replace")
        except TimeoutError:
            raise PeerError(f"the platform does not answer within {_TIMEOUT:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise PeerError(f"cannot connect: {error_text(error.os_error)}: check voipbin.api") from None
        except (aiohttp.ClientError, OSError, ValueError):  # texts of these errors may show the URL
            raise PeerError(
                "the platform's answer is not HTTP, or the connection broke: check voipbin.api"
            ) from None
        if not 200 <= status < 300:
            raise PeerError(self._refusal(status, text))
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise PeerError("the platform's answer is not a JSON object: check voipbin.api")
        return answer

    def _refusal(self, status: int, text: str) -> str:
        credential = self._credential
        name = "token" if credential.parameter == "token" else "access key"
        reason = _REASONS.get(status, "check the flow").format(name=name, setting=credential.setting)
        for secret in self._hidden:
            text = text.replace(secret, "…")
        shown = single_line(text)[:_MAX_SHOWN].strip()
        return f"refused with {status}: {reason}" + (f" ({shown})" if shown else "")


def _fetched_paths(actions: Actions) -> list[str]:
    """The paths of the URLs that a flow fetches. They contain a secret, which the platform's answer may repeat."""
    urls = [action["option"]["event_url"] for action in actions if action["type"] == "fetch"]
    return [path for url in urls if (path := urlsplit(url).path.strip("/"))]


def _id_of(flow: dict[str, Any]) -> str:
    found = flow.get("id")
    if not isinstance(found, str) or not found:
        raise PeerError("the platform's answer has no id of a flow")
    return found
