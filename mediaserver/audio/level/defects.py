"""Finds faults of recorded sound at its own sampling rate: DC, clipping, and energy beyond the telephone band."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.level.levels import CLIPPED
from mediaserver.audio.pcm import FULL_SCALE, Signal

TELEPHONE_BAND = (300.0, 3400.0)  # the band in Hz that telephones carry (ITU-T G.712)
_SHORTEST_RUN = 3  # the fewest equal samples in a row near full scale that are a clipped peak; a sine has two
_HIGHEST = 1 - 1 / FULL_SCALE  # the highest value of a 16-bit sample, where 1.0 is full scale
_WINDOWS_A_SECOND = 16  # windows of the spectrum per second; a window's length is the nearest power of two


class SourceMeter:
    """Measures a sound at its own rate, block by block, on its way to the resampler.

    Blocks have the shape (n,), ±1.0 full scale, of one channel: the mean of a file's channels.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.clipped_runs = 0  # number of peaks cut off at full scale: three samples or more of one value
        self._sum = 0.0
        self._run: NDArray[Any] = np.zeros(0)  # the samples of a clipped peak that may go on in the next block
        self._rate, self._rest = 0, np.zeros(0)
        self._energy = self._inside = 0.0

    @property
    def offset(self) -> float:
        """The DC offset, as a share of full scale: the mean of all samples; 0 where there are none."""
        return self._sum / self.samples if self.samples else 0.0

    @property
    def out_of_band(self) -> float:
        """The share of the energy that lies outside of the telephone's band, DC left out; 0 for silence."""
        return 1 - self._inside / self._energy if self._energy else 0.0

    def watch(self, blocks: Iterable[NDArray[Any]], rate: int) -> Iterator[NDArray[Any]]:
        """Measure blocks of a sound whose sampling rate is `rate` Hz, and yield them unchanged."""
        for block in blocks:
            self.feed(block.astype(np.float64, copy=False), rate)
            yield block

    def feed(self, block: Signal, rate: int) -> None:
        """Measure the next block of a sound whose sampling rate is `rate` Hz."""
        self.samples += len(block)
        self._sum += float(block.sum())
        self._count_clipped(np.concatenate((self._run, np.clip(block, -1.0, _HIGHEST))))
        if rate != self._rate:
            self._measure_rest()
            self._rate = rate
        size = _window_size(rate)
        signal = np.concatenate((self._rest, block))
        whole = len(signal) - len(signal) % size
        self._rest = signal[whole:]
        self._measure_windows(signal[:whole].reshape(-1, size))

    def finish(self) -> None:
        """Measure the samples that were kept for a next block, because no further block comes."""
        self._count_clipped(np.append(self._run, 0.0))
        self._measure_rest()

    def _measure_rest(self) -> None:
        """Measure the kept samples if the sound is shorter than a window. In a longer sound, they are ignored."""
        if len(self._rest) and not self._energy:
            size = _window_size(self._rate)
            self._measure_windows(np.pad(self._rest - self._rest.mean(), (0, size - len(self._rest)))[None])
        self._rest = np.zeros(0)

    def _count_clipped(self, block: Signal) -> None:
        """Count the clipped peaks in a block. A peak at the block's end is counted with the next block."""
        self._run = np.zeros(0)
        near = np.flatnonzero(np.abs(block) >= CLIPPED / FULL_SCALE)
        if not len(near):
            return
        breaks = np.flatnonzero((np.diff(near) != 1) | (np.diff(block[near]) != 0)) + 1
        runs = np.diff(breaks, prepend=0, append=len(near))
        if near[-1] == len(block) - 1:
            self._run = block[len(block) - runs[-1] :]
            runs = runs[:-1]
        self.clipped_runs += int((runs >= _SHORTEST_RUN).sum())

    def _measure_windows(self, windows: Signal) -> None:
        if not len(windows):
            return
        size = windows.shape[1]
        level = windows - windows.mean(axis=1, keepdims=True)
        power = (np.abs(np.fft.rfft(level * np.hanning(size), axis=1)) ** 2).sum(axis=0)
        hz = np.fft.rfftfreq(size, 1 / self._rate)
        lowest, highest = TELEPHONE_BAND
        self._energy += float(power.sum())
        self._inside += float(power[(hz >= lowest) & (hz <= highest)].sum())


def _window_size(rate: int) -> int:
    return int(2 ** round(math.log2(rate / _WINDOWS_A_SECOND)))
