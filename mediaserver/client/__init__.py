"""Clients that dial media streams: attaching paths to calls of VoIPBIN, and the simulator of a caller.

The package must not know the server's listeners. The handler of an attached stream's path decides what happens
on the stream, as on a stream that a peer dials.
"""
