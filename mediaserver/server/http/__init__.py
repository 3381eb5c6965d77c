"""The HTTP listener for media: its limits, TLS, the WebSocket handshake, admission and refusals.

It ends where a WebSocket begins: what is sent and received after the handshake is for `transport` and `call`.
"""
