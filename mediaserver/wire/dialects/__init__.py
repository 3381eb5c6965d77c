"""Dialects: the protocols of the applications that calls are bridged to, one module each; sans-I/O."""
