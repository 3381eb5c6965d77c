"""AudioSocket over TCP: Asterisk connects to a port of ours, names its stream by a UUID, and both sides send
messages.

The protocol has no HTTP, no path, no token and no close code. Therefore, each port stands for a path
(`routing.audiosocket_ports`), and only peers of allowed networks may connect to it. Every connection, even a
refused one, ends in the same way: we send the message `00 00 00` and FIN, and read on until the peer has closed as
well. If we closed with unread data, TCP would reset the connection, and Asterisk would hang the caller up. This
package must not know what a handler does with the audio.
"""

from mediaserver.server.audiosocket.endpoint import AudioSocketEndpoint

__all__ = ["AudioSocketEndpoint"]
