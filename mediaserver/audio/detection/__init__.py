"""Tells speech from noise, tones, hum, music and echo, frame by frame: what may stop a prompt, and what may not.

The package works on 8 kHz PCM in numpy. It must not know of calls, clocks or transports.
"""
