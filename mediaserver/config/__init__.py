"""The configuration: a model for each table of settings, read from TOML and environment variables.

All mistakes are reported at once, each in one line with its key. This package must not know handlers, engines or
listeners, which other packages build from the settings.
"""

from mediaserver.config.loading import DEFAULT_FILE, default_file, load
from mediaserver.config.settings import Settings

__all__ = ["DEFAULT_FILE", "Settings", "default_file", "load"]
