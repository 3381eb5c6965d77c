"""The console script: its commands, and what they show on a terminal.

Everything below may be used from here, and nothing below imports this room.
"""
