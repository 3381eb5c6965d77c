"""One peer's connection: a WebSocket that we serve or dialled, how it is read, kept alive and closed.

Knows transports, WebSocket messages and the reasons for an end. Must not know of calls, routes or handlers.
"""
