"""Audio processing on PCM samples: G.711, levels, tones, DTMF, voice activity detection, resampling, WAV files.

The package has functions and small stateful classes that take and return bytes or numpy arrays. It must not know
files, sockets, asyncio or the time of day.
"""
