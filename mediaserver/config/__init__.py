"""The configuration: a model for each table of settings, read from TOML and environment variables.

All mistakes are reported at once, each in one line with its key. The room knows no handlers, engines or listeners:
those are built from the settings elsewhere.
"""

from mediaserver.config.loading import DEFAULT_FILE, default_file, load
from mediaserver.config.settings import Settings

__all__ = ["DEFAULT_FILE", "Settings", "default_file", "load"]
