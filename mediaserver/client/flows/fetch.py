"""The HTTP request of VoIPBIN's action `fetch`, as VoIPBIN sends it."""

from collections.abc import Sequence
from uuid import UUID

import aiohttp
from yarl import URL

from mediaserver.client.flows.actions import Action, FlowError, parse_answer
from mediaserver.client.flows.engine import Fetch
from mediaserver.errors import error_text
from mediaserver.support.http_connector import Connector

_MAX_ANSWER = 1 << 20  # the maximum size of an answer in bytes; no flow is so large


def client_session() -> aiohttp.ClientSession:
    """An HTTP session whose requests have no time-out, because the flow engine decides when to give up."""
    return aiohttp.ClientSession(connector=Connector(), timeout=aiohttp.ClientTimeout(total=None))


async def fetch_actions(
    http: aiohttp.ClientSession, command: Fetch, activeflow_id: UUID, call_id: UUID
) -> Sequence[Action] | FlowError:
    """Request the command's URL; return the actions in the answer, or an error that tells why there are none.

    The error's message does not contain the URL, which may hold a secret.
    """
    try:
        return await _fetch(http, command, {"activeflow_id": str(activeflow_id), "reference_id": str(call_id)})
    except FlowError as error:
        return error
    except aiohttp.ClientConnectorError as error:
        return FlowError(f"cannot connect: {error_text(error.os_error)}")
    except (aiohttp.InvalidURL, ValueError):
        return FlowError("event_url is no URL")
    except (aiohttp.ClientError, OSError) as error:
        return FlowError(
            f"no answer: {error_text(error) if isinstance(error, OSError) else 'the connection broke'}"
        )


async def _fetch(http: aiohttp.ClientSession, command: Fetch, body: dict[str, str]) -> list[Action]:
    url = URL(command.url).with_fragment(None)  # a # in the URL begins a fragment, which HTTP does not send
    if url.scheme not in ("http", "https") or not url.host:
        raise FlowError("event_url should begin with http:// or https://")
    async with http.request(command.method, url, json=body) as response:
        if response.status != 200:
            raise FlowError(f"the answer has the status {response.status}, not 200")
        answer = b""
        async for chunk in response.content.iter_any():
            answer += chunk
            if len(answer) > _MAX_ANSWER:
                raise FlowError(f"the answer has more than {_MAX_ANSWER} bytes")
        return parse_answer(answer)
