"""Routing: builds the table of routes from a configuration, and finds the handler for each path that is dialled.

The package knows the configuration, the handlers' settings and the access rules. It does not use sockets or
streams. For each handshake, a listener asks it for the handler and the wire format, or gets a RefusedError.
"""
