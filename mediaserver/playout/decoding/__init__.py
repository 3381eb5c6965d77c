"""Decodes sound files to PCM (16 bits, 8 kHz, mono) in worker processes, and keeps the result on disk.

The package has no notion of prompts' names, of streams, or of the encodings in which streams send sound.
"""
