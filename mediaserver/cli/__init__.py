"""The console script: its commands, and what they show on a terminal."""
