"""File formats of sound: what kind a file is, and how WAV and Ogg are read and written, from bytes alone."""
