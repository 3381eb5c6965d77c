"""Bytes to frames and back, sans-I/O. Knows no sockets, no loop and no clock; every time is an argument."""
