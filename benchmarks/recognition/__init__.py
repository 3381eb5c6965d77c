"""Measures how many words of telephone speech a speech recogniser (STT) gets wrong, and its CPU time."""
