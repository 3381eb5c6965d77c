"""Audio processing on PCM samples: G.711, levels, tones, DTMF, voice activity detection, resampling, WAV files.

Functions and small stateful classes that take bytes or numpy arrays and return them. The package must not know
files, sockets, asyncio or the time of day.
"""
