"""Wire formats, sans-I/O: they turn a peer's messages into frames and events, and sent frames into messages.

The package has the encapsulations (AudioSocket, RTP, raw PCM) and framings, the detection of the inbound codec,
the jitter buffer, WebSocket framing, the texts of Asterisk's WebSocket channel, and in `dialects` the protocols of
applications to which calls are bridged. The package must not know sockets, asyncio or clocks: callers pass every
time as an argument.
"""
