"""The bridge between a call and a user's own WebSocket application.

The package dials the application, and exchanges audio, DTMF keys and marks with the application in a
dialect of `wire.dialects`. The package must not know handlers, routes or the configuration.
"""

from mediaserver.bridge.application_bridge import ApplicationBridge
from mediaserver.bridge.dial import ApplicationEndpoint

__all__ = ["ApplicationBridge", "ApplicationEndpoint"]
