"""Measures what a frame costs on a stream with background sound, alone and under speech, in every wire format."""
