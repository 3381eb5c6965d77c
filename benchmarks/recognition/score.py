"""Counts wrong words, as for the word error rate of speech recognition."""

import re
from collections.abc import Sequence


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation."""
    return re.findall(r"[a-z']+", text.lower())


def errors(wanted: Sequence[str], found: Sequence[str]) -> int:
    """The least number of words that must be put in, taken out or changed (Levenshtein's distance, of words)."""
    row = list(range(len(found) + 1))
    for number, word in enumerate(wanted, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(found, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]
