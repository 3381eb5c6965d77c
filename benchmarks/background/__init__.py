"""What a frame costs on a stream with a background, alone and under speech, on every wire."""
