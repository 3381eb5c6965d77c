"""`events.md`: every event, when it is emitted, and the keys of its payload."""

import inspect
import re
from typing import Any, get_args, get_origin, get_type_hints

from mediaserver.call import EndReason
from mediaserver.events.kinds import EVENTS
from scripts.reference import kinds
from scripts.reference.markdown import code, page, prose, table

_ABOUT = """\
With `url` of [`[events]`](settings.md#events) set, every event is sent there by POST, as JSON:

```json
{"type": "menu.entered", "stream": "7ca7b09ff407", "sequence": 3, "time": "2026-01-31T23:59:59.123Z",
 "id": "0b0e6a0e5d6f4c1f8e7a9b2c3d4e5f60",
 "data": {"path": "/menu", "resource": "calls/652af662", "variables": {}, "menu": "main"}}
```

`types` of `[events]` chooses which events are sent. The metric `mediaserver_events_total` counts all events,
sent or not.

`data` of every event has the stream's `path`, its `resource` (`calls/<id>` or `conferences/<id>`, or empty
where the call is not known), its `variables`, and the keys that the tables below list. A key that is marked
*not always* may be absent. Your own handlers may emit events of other names.

A call to a menu, what is sent and received in it, and its events:

![A prompt is stopped by a key, a message is recorded until another key; four events](../pictures/menu-call.svg)"""


def write() -> str:
    """The page in Markdown."""
    overview = [(f"[{kind}](#{_anchor(kind)})", prose(_when(payload))) for kind, payload in EVENTS.items()]
    blocks = [_ABOUT, table(("event", "when"), overview)]
    for kind, payload in EVENTS.items():
        blocks += [f"## {kind}", prose(_when(payload)), table(("key", "type", "what it is"), _keys(payload))]
    blocks += [
        "## Why a stream ended",
        "These are the values of `reason` in `stream.ended`, in the log and in the metric:",
        _reasons(),
    ]
    return page("Events", "mediaserver/events and EndReason", *blocks)


def _reasons() -> str:
    """The table of reasons why a stream ended. Each reason is explained by its comment in the source."""
    found = re.findall(r'^ +[A-Z_]+ = "([a-z-]+)"  # (.+)$', inspect.getsource(EndReason), re.MULTILINE)
    if [reason for reason, _ in found] != list(EndReason):
        raise ValueError("a reason of EndReason has no comment behind it")
    return table(("reason", "what it means"), [(code(reason), prose(text)) for reason, text in found])


def _anchor(kind: str) -> str:
    """The anchor of an event's heading, as GitHub and the docs site make it."""
    return kind.replace(".", "")


def _when(payload: type) -> str:
    return payload.__doc__ or ""


def _keys(payload: Any) -> list[tuple[str, str, str]]:
    rows = []
    for key, hint in get_type_hints(payload, include_extras=True).items():
        while get_origin(hint) is not None and not hasattr(hint, "__metadata__"):
            (hint,) = get_args(hint)  # removes Required and NotRequired
        kind = kinds.name_of(hint) + (" or null" if kinds.may_be_null(hint) else "")
        always = key in payload.__required_keys__
        rows.append((code(key), kind, prose(hint.__metadata__[0]) + ("" if always else " (*not always*)")))
    return rows
