"""Servers to hold the media server against: the least that can be done, and what a first try looks like."""

SLOTS = 20  # moments of every ptime, at each of which a share of the streams has its turn
