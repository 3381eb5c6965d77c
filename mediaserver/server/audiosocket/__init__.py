"""AudioSocket over TCP: Asterisk dials a port of ours, names its stream by a UUID, and both sides send messages.

The wire knows no HTTP, no path, no token and no close code. A port stands for a path (`streams.ports`), networks
guard it, and every end, a refusal included, is the same: `00 00 00`, then FIN, then what the peer still sends is
read until it has closed as well. A plain close with unread data would be a reset, for which Asterisk hangs the
caller's call up.
"""

from mediaserver.server.audiosocket.endpoint import AudioSocketEndpoint

__all__ = ["AudioSocketEndpoint"]
