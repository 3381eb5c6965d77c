"""`refusals.md`: the reasons why a stream, or a request to the admin port, is refused."""

from collections.abc import Mapping

from mediaserver.errors import RefusalReason
from mediaserver.server.admin.connections import REFUSALS as ADMIN
from mediaserver.server.admin.schemas.openapi import REFUSALS as API
from mediaserver.server.http.refusals import REFUSALS
from scripts.reference.markdown import code, page, prose, table

_ABOUT = """\
A call that cannot be taken is refused before the upgrade to a WebSocket, with an HTTP status and one line of plain
text that says why. The `reason` is in the log line `refused` and in the metric `mediaserver_refusals_total`. With
[AudioSocket over TCP](settings.md#audiosocket) there is no status: the server hangs up, and the dialplan goes on.

At most 20 refusals a second are logged. The next line tells how many were not. The metric counts all of them."""
_ADMIN = """\
The metric `mediaserver_admin_refusals_total{reason}` counts what the admin port refuses for these reasons."""
_API = """\
Errors of `/v1` are JSON, `{"error": "…"}`, except for `malformed`, `slow` and a connection that was closed for
a newer one, which are a line of text. The API also refuses requests for the following reasons, which no metric
counts. A request that names a path with its query may be refused for the reasons for which a call of that URL
would be. A 405 means that the path has other methods, and a 500 that the server has failed: its log says more."""
_RETRY = "Answers with 503 have the header `Retry-After: 1`."


def write() -> str:
    """The page in Markdown."""
    return page(
        "Refusals",
        "RefusalReason and the tables of the ports",
        _ABOUT,
        _table(REFUSALS),
        _RETRY,
        "## The admin port",
        _ADMIN,
        _table(ADMIN),
        "## The API of the admin port",
        _API,
        _table(API),
    )


def _table(refusals: Mapping[RefusalReason, str]) -> str:
    rows = [(str(reason.status), code(reason), prose(when)) for reason, when in refusals.items()]
    return table(("status", "reason", "when"), sorted(rows, key=lambda row: row[0]))
