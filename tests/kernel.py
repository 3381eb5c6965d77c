"""What the kernel tells of a connection."""

import fcntl
import socket
import sys
import termios


def unacknowledged(connection: socket.socket) -> int:
    """How many bytes the other kernel does not have yet. They are lost if the connection breaks.

    That happens on a busy machine: ten packets are sent, and then none until the first ones are acknowledged.
    """
    return int.from_bytes(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
