"""The HTTP connections of the flow port. Their number and time are limited as for those of the admin port."""

from collections.abc import Callable

from aiohttp import web

from mediaserver.errors import RefusedError
from mediaserver.server.admin.connections import AdminConnections
from mediaserver.server.http.refusals import Refusals
from mediaserver.support.metrics import Metrics

MAX_FLOW_CONNECTIONS = 512  # the most connections of the flow port; one file descriptor is reserved for each


class FlowConnections(AdminConnections):
    """All connections of the flow listener. Refusals are counted and logged with those of the media ports."""

    def __init__(
        self, server: web.Server, timeout: Callable[[], float], metrics: Metrics, refusals: Refusals
    ) -> None:
        super().__init__(server, timeout, metrics, MAX_FLOW_CONNECTIONS)
        self._refusals = refusals

    def record_refusal(self, error: RefusedError, peer: object, **facts: str | None) -> None:
        """Count and log a refusal. The path is not logged, because it contains the secret."""
        self._refusals.record(error, str(peer))
