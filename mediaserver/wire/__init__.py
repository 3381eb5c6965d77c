"""Wire formats, sans-I/O: bytes of messages to frames and events, and back.

The package has the encapsulations (AudioSocket, RTP, raw PCM) and framings, the detection of the inbound codec,
the jitter buffer, WebSocket framing, the texts of Asterisk's WebSocket channel, and in `dialects` the protocols of
bridged applications. It must not know sockets, asyncio or clocks: every time is an argument.
"""
