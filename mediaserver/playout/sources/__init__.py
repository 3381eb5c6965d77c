"""Sources give a pacer the frames to play: of prompts, playlists, tones or live audio.

A source never sleeps, blocks or does I/O: it gives a frame whenever it is asked for one. The package does not
import the modules of the ticker, calls or connections.
"""
