"""AudioSocket over TCP: Asterisk connects to a port of ours, names its stream by a UUID, and both sides send
messages.

The protocol has no HTTP, no path, no token and no close code. A port stands for a path
(`routing.audiosocket_ports`), and allowed networks guard it. Every connection, a refused one too, ends like
this: we send the message `00 00 00` and FIN, and read on until the peer has closed as well. A plain close
with unread data would be a TCP reset, at which Asterisk hangs the caller up. Must not know what a handler does
with the audio.
"""

from mediaserver.server.audiosocket.endpoint import AudioSocketEndpoint

__all__ = ["AudioSocketEndpoint"]
