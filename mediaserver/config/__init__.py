"""The configuration: each setting in a model, read from TOML and the environment; all mistakes told at once."""

from mediaserver.config.loading import DEFAULT_FILE, default_file, load
from mediaserver.config.settings import Settings

__all__ = ["DEFAULT_FILE", "Settings", "default_file", "load"]
