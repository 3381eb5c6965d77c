"""What happens on a stream: one module a handler.

Who writes a handler of their own needs what this package names, and no more.
"""

from mediaserver.handlers.base import Handler

__all__ = ["Handler"]
