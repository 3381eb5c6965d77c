"""Hostile input by the ten thousand, seeded, so that each one can be had again by its kind, seed and number."""
