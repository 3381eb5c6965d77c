"""`refusals.md`: why a stream, or a request to the admin port, is turned down."""

from mediaserver.server.http.refusals import REFUSALS, Refusal
from scripts.reference.markdown import code, page, prose, table

_ABOUT = """\
A call that cannot be taken is turned down before the upgrade to a WebSocket: with an HTTP status, and one line of
plain text that says why. `reason` stands in the log line `refused` and in the metric `mediaserver_refusals_total`.
With [AudioSocket over TCP](settings.md#audiosocket) there is no status: the server hangs up, and the dialplan goes
on.

At most 20 refusals a second are logged, with the number of those that were not. The metric counts all of them."""
_ADMIN = """\
The metric `mediaserver_admin_refusals_total{reason}` counts what the admin port turns down. Answers of `/v1` are
JSON, `{"error": "…"}`."""
_RETRY = "With 503 there is a header `Retry-After`, of one second."

ADMIN = [  # reasons of the admin port, as its modules raise them
    ("malformed", Refusal(400, "the request is no HTTP, or its `Host` or `Origin` is none")),
    ("unauthorised", Refusal(401, "there is a token, and the request has none, or a wrong one")),
    (
        "host",
        Refusal(403, "without a token: `Host` is none of the server's names; see `admin.hosts`"),
    ),
    ("origin", Refusal(403, "without a token: a page of another site asks")),
    ("slow", Refusal(408, "half a request, or an answer that is not taken, within `server.handshake_timeout`")),
    ("connections", Refusal(503, "it gave way to another connection: there are 32 of them")),
]


def write() -> str:
    """The page."""
    public = sorted(REFUSALS.items(), key=lambda each: each[1].status)
    return page(
        "Refusals",
        "mediaserver/server/http/refusals.py",
        _ABOUT,
        _table(public),
        _RETRY,
        "## The admin port",
        _ADMIN,
        _table(ADMIN),
    )


def _table(refusals: list[tuple[str, Refusal]]) -> str:
    rows = [(str(refusal.status), code(reason), prose(refusal.when)) for reason, refusal in refusals]
    return table(("status", "reason", "when"), rows)
