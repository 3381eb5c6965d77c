"""Outward: what dials a media stream."""
