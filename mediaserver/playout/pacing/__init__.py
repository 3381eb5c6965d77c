"""When frames are sent: one ticker for all streams, a pacer for each, and what happens to a slow peer.

This package is the hot path, and nothing else: it knows no prompts, no calls and no sockets beyond `Transport`.
"""
