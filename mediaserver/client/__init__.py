"""Clients that dial media streams: one attaches URL paths to calls of VoIPBIN, the other simulates a caller.

The package must not know the server's listeners. The handler of an attached stream's URL path decides what happens
on the stream, as on a stream that a peer dials.
"""
