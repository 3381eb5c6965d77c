"""Streams in progress, whoever dialled: what happens on a path, and who is on the line."""
