"""The media server that VoIPBIN calls."""

__version__ = "0.1.0"
