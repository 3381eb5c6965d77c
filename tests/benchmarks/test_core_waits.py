"""Waits for a core, by which late frames are excused."""

import os

import numpy as np

from benchmarks.listeners.arrivals import Arrivals
from benchmarks.listeners.core_waits import CoreWaits
from benchmarks.listeners.report import Usage, summarise


def _waits() -> CoreWaits:
    """Looked at every 10 ms from 1 s on; from 1.02 to 1.03 s the processes waited for 8 ms."""
    waits = CoreWaits((), 0.01)
    for look, waited in enumerate((0.0, 0.0, 0.0, 0.008, 0.008, 0.008)):
        waits.add(1 + look / 100, waited)
    return waits


def test_the_looks_around_a_span_say_how_long_the_processes_waited_in_it() -> None:
    spans = np.array([[1.001, 1.009], [1.015, 1.022], [1.029, 1.035], [1.031, 1.049], [0.5, 2.0], [1.06, 1.07]])
    assert _waits().between(spans[:, 0], spans[:, 1]).tolist() == [0, 0.008, 0.008, 0, 0.008, 0]


def test_without_looks_nothing_is_excused() -> None:
    waits = CoreWaits((os.getpid(),), 0.0)
    waits.look(1.0)
    assert waits.between(np.array([0.0]), np.array([2.0])).tolist() == [0]


def test_a_look_is_due_after_each_interval() -> None:
    waits = CoreWaits((os.getpid(),), 10.0)
    for now in (1.0, 2.0, 11.0, 20.9):
        waits.look(now)
    assert list(waits._looks) == [1.0, 11.0]
    assert list(waits._waited) == sorted(waits._waited)


def test_only_what_the_machine_has_taken_is_excused() -> None:
    """Of three streams one is late by 9 ms for want of a core, and another by 8.5 ms through its own fault."""
    arrivals = Arrivals(20)
    times = {0: (1.0, 1.02, 1.04), 1: (1.005, 1.034, 1.045), 2: (0.991, 1.011, 1.0395)}
    for at, stream in sorted((at, stream) for stream, frames in times.items() for at in frames):
        arrivals.add([stream], at)
    before, after = Usage(0.98, 0.0, 0.0, 0), Usage(1.05, 0.1, 0.1, 0)
    answered = dict.fromkeys(times, 0.5)
    report = summarise(arrivals, answered, before, after, CoreWaits((), 0.0))
    assert round(report["lateness_p99"], 3) == round(report["excused_p99"], 3) == 9
    report = summarise(arrivals, answered, before, after, _waits())
    assert round(report["lateness_p99"], 3) == 9
    assert round(report["excused_p99"], 3) == 8.5
