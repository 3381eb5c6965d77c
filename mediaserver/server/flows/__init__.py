"""The flow endpoint: answers VoIPBIN's action `fetch`, by which the flow of a call requests its next actions.

The first answer starts the call's media on a port that is leased to this call alone, because AudioSocket names no
call. Each later `fetch` brings the caller's DTMF keys, which are pushed into the stream. The last answer has the
actions that the stream's handler has decided on. This package must not know the form of actions (`wire.voipbin`),
or what a handler does.
"""

from mediaserver.server.flows.endpoint import FlowEndpoint

__all__ = ["FlowEndpoint"]
