"""Events as tests see them, held against the reference."""

from collections.abc import Mapping
from typing import Any

from mediaserver.events.kinds import EVENTS, EventKind

_OURS = {kind.partition(".")[0] for kind in EVENTS}


def unlike_the_reference(kind: str, data: Mapping[str, Any]) -> list[str]:
    """What is wrong with an event, a line for each mistake. Those of handlers of users' own pass."""
    if kind not in EVENTS:
        return [f"{kind}: no such event"] if kind.partition(".")[0] in _OURS else []
    payload: Any = EVENTS[EventKind(kind)]
    missing = payload.__required_keys__ - data.keys()
    unknown = data.keys() - payload.__required_keys__ - payload.__optional_keys__
    return [
        *(f"{kind}: {key} is missing" for key in sorted(missing)),
        *(f"{kind}: {key} is not in its payload" for key in sorted(unknown)),
    ]
