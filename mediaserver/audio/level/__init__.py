"""Levels of recorded sound: measuring them, finding faults, and bringing sound to a level."""
