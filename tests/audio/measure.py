"""Instruments for the tests: sines to compare with, and meters that share no code with the package."""

import math

import numpy as np

RATE = 8000
MILLIWATT_RMS = math.sqrt((8828**2 + 20860**2) / 2)
"""RMS of 0 dBm0 in 16 bits: G.711's table of the 1 kHz digital milliwatt, µ-law codes 1E 0B 0B 1E 9E 8B 8B 9E."""


def sine(hz, peak, seconds):
    """A sine of `peak` (of 16 bits) as exact numbers, not yet rounded."""
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def sine16(hz, peak, seconds):
    """A sine of `peak` as 16-bit samples."""
    return np.clip(np.rint(sine(hz, peak, seconds)), -32768, 32767).astype(np.int16)


def dbm0(samples):
    """Level of all of it in dBm0."""
    return 20 * math.log10(np.sqrt(np.mean(np.square(samples.astype(float)))) / MILLIWATT_RMS)


def loudest_hz(samples, count):
    """The `count` strongest frequencies, rising, from the peaks of a finely interpolated spectrum."""
    size = 1 << 17  # 0.06 Hz a bin
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    width = 2 * size // len(samples) + 1  # a Hann window's main lobe, to either side of a peak
    found = []
    for _ in range(count):
        peak = int(spectrum.argmax())
        found.append(peak * RATE / size)
        spectrum[max(0, peak - width) : peak + width + 1] = 0
    return sorted(found)


def component_dbm0(samples, hz):
    """Levels in dBm0 of sines at the given frequencies, fitted all at once by least squares."""
    t = np.arange(len(samples)) / RATE
    basis = np.column_stack([f(2 * np.pi * h * t) for h in hz for f in (np.sin, np.cos)])
    parts = np.linalg.lstsq(basis, samples.astype(float), rcond=None)[0].reshape(-1, 2)
    return [20 * math.log10(math.hypot(*part) / math.sqrt(2) / MILLIWATT_RMS) for part in parts]


def bend(samples):
    """How sharply the waveform turns at each sample; a click is a turn sharper than the sound itself makes."""
    return np.abs(np.diff(samples.astype(float), 2))


def clicks(samples, edges, reach=40):
    """The edges around which the waveform turns more sharply than it does inside either sound next to them."""
    turns = bend(samples)
    bounds = [0, *edges, len(samples)]
    heard = []
    for i, edge in enumerate(edges, start=1):
        at_edge = turns[max(0, edge - reach) : edge + reach].max()
        before = turns[bounds[i - 1] + reach : edge - reach].max()
        after = turns[edge + reach : bounds[i + 1] - reach].max()
        if at_edge > 1.05 * max(before, after) + 2:  # 5 % for the ramp's own curve, 2 for rounding to samples
            heard.append(edge)
    return heard
