"""Routing: builds the live table of routes from a configuration, and finds the handler for each path.

The package knows the configuration, handlers' settings and who may dial. It knows no sockets or streams: the
listeners ask it, and it answers with a handler and a wire format, or with RefusedError.
"""
