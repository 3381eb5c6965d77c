"""One peer's connection: a WebSocket that the peer or this server dialled. It is read, kept alive and closed.

The package knows transports, WebSocket messages and the reasons for which streams end. It must not know calls,
routes or handlers.
"""
