"""The HTTP listener for media: its limits, TLS, the WebSocket handshake, admission and refusals.

This package handles a connection up to the end of its WebSocket handshake. The packages `transport` and `call`
handle what is sent and received after the handshake.
"""
