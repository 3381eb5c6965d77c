"""Servers to compare the media server with: the least that a server can do, and a naive first try."""

SLOTS = 20  # parts of every 20 ms; in each part, a twentieth of the streams is sent a frame
