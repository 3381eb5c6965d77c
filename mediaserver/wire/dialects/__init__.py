"""Dialects: the protocols of the applications to which calls are bridged, sans-I/O. Each has one module."""
