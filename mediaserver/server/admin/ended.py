"""The admin port's requests about streams that are over: which there were lately, and what was bad about them."""

import asyncio
import json
from collections.abc import Mapping, Sequence

from aiohttp import web

from mediaserver.config.listener_settings import Scope
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.runtime import ended_streams
from mediaserver.server.admin.schemas.answers import EndedStream, EndedStreams
from mediaserver.server.admin.schemas.openapi import Operation
from mediaserver.server.admin.schemas.requests import parse_flag, parse_limit, parse_number

_AT_ONCE = 10  # number of streams that are looked at in one turn of the event loop, which takes some 0.3 ms


class EndedRequests:
    """Handles requests about the latest streams that are over."""

    def __init__(self, ended: ended_streams.EndedStreams) -> None:
        self._ended = ended

    @property
    def operations(self) -> Sequence[Operation]:
        """The operations of the admin port that this object handles."""
        query = ("path", "call", "label", "problems", "limit", "after")
        return [
            Operation(
                "GET", "/v1/ended-streams", Scope.READ, self.list_streams, query=query, answers={200: EndedStreams}
            ),
            Operation("GET", "/v1/ended-streams/{id}", Scope.READ, self.describe, answers={200: EndedStream}),
        ]

    async def list_streams(self, request: web.Request) -> web.Response:
        """List the latest streams that are over, the last one first, a page at a time: all, those of a path, a
        call or a label, or with `problems=true` those that were bad.
        """
        query = request.query
        limit, after, bad = parse_limit(query), parse_number(query, "after"), parse_flag(query, "problems")
        texts, last, more = list[str](), 0, ""
        for n, each in enumerate(self._ended.newest_first()):
            if not n % _AT_ONCE:
                await asyncio.sleep(0)  # lets frames be sent
            if (after and each.number >= after) or not _fits(each, query) or (bad and not each.problems):
                continue
            if len(texts) == limit:
                more = f', "next": "{last}"'
                break
            texts.append(json.dumps(each.describe()))
            last = each.number
        return web.Response(text=f'{{"streams": [{", ".join(texts)}]{more}}}', content_type="application/json")

    async def describe(self, request: web.Request) -> web.Response:
        """Describe one stream that is over, by its id or its call: its facts, what was played, what was bad, how
        loud both sides were and when it was impaired.
        """
        name = request.match_info["id"]
        found = self._ended.get(name)
        if found is None:
            found = next((each for each in self._ended.newest_first() if name in each.calls), None)
        if found is None:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"no stream {name} has ended lately")
        return web.json_response({**found.describe(), **found.history})


def _fits(stream: ended_streams.EndedStream, query: Mapping[str, str]) -> bool:
    """Whether a stream is of the path, the call and the label for which a query asks."""
    return (
        query.get("path") in (None, *stream.paths)
        and query.get("call") in (None, *stream.calls)
        and query.get("label") in (None, stream.facts["label"])
    )
