"""`assistant`: a voice assistant. Its settings, and a conversation made of turns."""

from mediaserver.handlers.assistant.handler import Assistant

__all__ = ["Assistant"]
