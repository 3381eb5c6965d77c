"""What is played: frames of prompts, playlists, tones, live sound. A source never sleeps, blocks or does I/O."""
