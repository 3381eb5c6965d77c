"""Lets operators hear a call while it goes on: its sound in both directions, aligned in time, and its levels.

A stream to which nobody listens does nothing for this package: what it sends and receives is observed only while
somebody listens. A listener that reads too slowly loses audio, and the call does not wait for it.
"""
