"""Detectors, frame by frame: voice activity, speech against noise, music and echo, DTMF digits, call progress.

The package works on 8 kHz PCM in numpy. It must not know of calls, clocks or transports.
"""
