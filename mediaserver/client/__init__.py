"""Clients that dial media streams: attaching paths to calls of VoIPBIN, and the simulator of a caller.

Must not know of listeners. What happens on an attached stream is for its path's handler, as on any other.
"""
