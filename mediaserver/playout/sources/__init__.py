"""Sources, what a pacer plays: prompts, playlists, tones, live audio. A source never sleeps, blocks or does I/O.

The package knows nothing of tickers, calls or connections: a source gives a frame whenever it is asked for one.
"""
