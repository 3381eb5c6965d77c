"""Sound files to 8 kHz PCM, in worker processes."""
