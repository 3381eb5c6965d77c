"""The flow endpoint: VoIPBIN's action `fetch` asks us what comes next on a call, and we answer with actions.

The first answer starts the call's media on a port that is leased to this call alone, because AudioSocket names no
call. Further answers bring the caller's keys into the stream. The last answer is what the stream's handler has
decided. This package must not know how actions look (`wire.voipbin`), or what a handler does.
"""

from mediaserver.server.flows.endpoint import FlowEndpoint

__all__ = ["FlowEndpoint"]
