"""Pacing: sends each stream's frames on time, by one ticker for all streams and a pacer for each stream.

The package also pauses a stream whose peer reads too slowly. Its code runs for every frame, so it is kept small:
it knows no prompts and no calls, and of sockets only the protocol `Transport`.
"""
