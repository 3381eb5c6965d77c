"""Lets operators hear a call while it goes on: its sound in both directions, aligned in time, and its levels.

A call is observed only while somebody listens to it, so that other calls cost nothing, apart from one look a
second at what is known anyway. A listener that reads too slowly loses audio, and the call does not wait for it.
"""
