"""The console script: its commands, and what the commands show on a terminal.

This package may import every other package, and no other package imports it.
"""
