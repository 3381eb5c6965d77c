"""A stream handed to a user's own WebSocket application, both ways. The asyncio shell around its protocols."""

from mediaserver.bridge.dial import Target
from mediaserver.bridge.relay import Relay

__all__ = ["Relay", "Target"]
