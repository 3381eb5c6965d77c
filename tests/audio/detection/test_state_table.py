"""The rows of detectors in one table."""

import gc

import numpy as np
import pytest

from mediaserver.audio.detection import dtmf, speech_detector
from mediaserver.audio.detection.dtmf import DtmfDetector
from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.detection.state_table import StateTable


def test_rows_keep_what_is_in_them_while_the_table_grows() -> None:
    table = StateTable([("number", np.int64, ()), ("pair", np.float32, (2,))], rows=16)
    taken = []
    for number in range(40):
        taken.append(index := table.add())
        table.columns["number"][index] = number
        table.columns["pair"][index] = number, -number
    assert sorted(taken) == sorted(set(taken))
    assert table.columns["number"][taken].tolist() == list(range(40))
    assert table.columns["pair"][taken].tolist() == [[number, -number] for number in range(40)]
    assert len(table) == 64


def test_a_row_is_given_again_and_is_empty_then() -> None:
    table = StateTable([("number", np.int64, ()), ("pair", np.float32, (2,))])
    index = table.add()
    table.columns["number"][index] = 7
    table.columns["pair"][index] = 8, 9
    table.remove(index)
    assert table.add() == index
    assert table.columns["number"][index] == 0
    assert table.columns["pair"][index].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("kind", "table"), [(SpeechDetector, speech_detector._STATES), (DtmfDetector, dtmf._STATES)]
)
def test_a_detector_that_is_gone_leaves_its_row(kind: type, table: StateTable) -> None:
    gc.collect()
    kind()
    before = len(table)
    for _ in range(2 * before):
        kind()
    assert len(table) == before


@pytest.mark.parametrize(
    ("kind", "table"), [(SpeechDetector, speech_detector._STATES), (DtmfDetector, dtmf._STATES)]
)
def test_rows_for_thousands_of_calls_are_there_from_the_start(kind: type, table: StateTable) -> None:
    """To copy the rows of so many into a larger table would take milliseconds, in which all calls are late."""
    columns = dict(table.columns)
    detectors = [kind() for _ in range(3000)]
    assert len(detectors) == 3000
    assert all(table.columns[name] is column for name, column in columns.items())
