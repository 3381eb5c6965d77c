"""Servers to hold the media server against: the least that can be done, and what a first try looks like."""
