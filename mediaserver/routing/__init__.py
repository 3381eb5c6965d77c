"""Which handler answers on which path: from a configuration to the live table of routes.

The room knows the configuration, handlers' settings and who may dial. It knows no sockets and no streams: the
listeners ask it, and it answers with a handler and a wire format, or with RefusedError.
"""
