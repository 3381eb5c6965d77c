"""Decodes sound files to PCM (16 bits, 8 kHz, mono) in worker processes, and keeps the result on disk.

The package knows no prompt names, no encodings of the wire and no streams.
"""
