"""Sentence segmentation for TTS, also of text that still streams in from a language model.

The places at which a text is split depend on the text alone, not on the pieces in which the text arrives.
Splitting changes nothing but white space.
"""

import re

# The maximum length of a sentence in characters. A longer sentence is split at a clause, so that its first part
# plays soon.
MAX_CHARACTERS = 200
_MIN_CHARACTERS = 10  # the minimum length of a sentence in characters; a shorter one is joined with the next
_MIN_WIDE = 4  # the minimum number of characters of a sentence whose characters are words, as in Chinese
_MIN_CLAUSE = 20  # the minimum length in characters (some four words) of a first clause that is spoken by itself
_MIN_WIDE_CLAUSE = 8  # the minimum number of characters of a first clause whose characters are words
_OPENING = "\"'“‘„«»‹›([{*_`"  # the quotes, brackets and Markdown marks that may stand before a word
# The pattern of a place where a sentence may end: after punctuation with its closing quotes and brackets, or
# before a newline.
_END = re.compile(r"""(?:[.!?…]+["'”’“‘»«›)\]}*_`]*(?=\s)|[。！？｡]+["'”’»」』）】〉》]*)|(?=\n)""")
# The pattern of a punctuation mark at which a clause ends, such as a comma.
_CLAUSE = re.compile(r"[,;:–—](?=\s)|[，、；：]")
# Abbreviations that never end a sentence.
_TITLES = re.compile(
    r"mr|mrs|ms|dr|prof|st|rev|hon|gen|col|capt|sgt|lt|gov|sen|rep|vs|approx|dept|est|resp|e\.g|i\.e"
    r"|hr|fr|bzw|ca|evtl|ggf|inkl|zzgl|tel|z\.b|d\.h|u\.a|mme|mlle|sr|sra|dra"
)
# Abbreviations that end a sentence unless a small letter or a digit follows.
_MAY_END = re.compile(
    r"etc|inc|ltd|co|corp|jr|bros|usw|dgl|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|a\.m|p\.m"
)
# Abbreviations whose dot ends no sentence if a number follows, as in "No. 5".
_BEFORE_NUMBER = re.compile(r"no|nr|nos|fig|vol|p|pp|art|abs|ch|sec|ext|max|min")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # initials such as U.S and J; a dot after them ends no sentence
# Languages in which "3." means "3rd", so that its dot ends no sentence.
_ORDINAL_DOT = re.compile(r"(?:de|da|nb|nn|no|fi|is|cs|sk|sl|hr|sr|bs|hu|et|lv|pl|tr)\b.*")


class SentenceSplitter:
    """Splits a text into sentences while it arrives in pieces. `feed` returns a sentence once its end is certain.

    `language` is a BCP 47 tag. A sentence has at most `max_characters` characters. With `early_first`, the first
    sentence may end at a clause, because the caller waits for this sentence in silence.
    """

    def __init__(
        self, language: str = "en", max_characters: int = MAX_CHARACTERS, early_first: bool = False
    ) -> None:
        self._early_first = early_first  # whether the first sentence is still to come, and may end at a clause
        self._ordinal_dot = bool(_ORDINAL_DOT.fullmatch(language.lower().replace("_", "-")))
        self._max_characters = max_characters
        self._text = ""

    def feed(self, text: str) -> list[str]:
        """Add a piece of text; return the sentences that this piece completes."""
        self._text = re.sub(r"\s+", _collapse_space, self._text + text)
        return self._pop_sentences(final=False)

    def flush(self) -> list[str]:
        """End the text; return the sentences that are left."""
        sentences = self._pop_sentences(final=True)
        self._text = ""
        return sentences

    def _pop_sentences(self, final: bool) -> list[str]:
        """Remove complete sentences from the buffer and return them. `final` says that the text has ended."""
        sentences, start = [], 0
        while True:
            start += len(self._text[start : start + 1]) - len(self._text[start : start + 1].lstrip())
            end = self._end(start, final)
            if not end:
                break
            sentences.append(" ".join(self._text[start:end].split()))
            start, self._early_first = end, False
        self._text = self._text[start:]
        return sentences

    def _end(self, start: int, final: bool) -> int:
        """The index of the end of the sentence that begins at index `start`; 0 if its end is not known yet."""
        # `window` is the text that a sentence may take, and 2 characters more: a space, and the letter after the
        # space.
        window = self._text[start : start + self._max_characters + 2]
        clause = _first_clause_end(window[: self._max_characters + 1]) if self._early_first else 0
        for mark in _END.finditer(window):
            if mark.end() > (clause or self._max_characters):
                break
            after = window[mark.end() :]
            if not after.strip() and not final:
                certain = after and mark[0] and self._ends(window, mark, "")
                return start + mark.end() if certain else 0
            if self._ends(window, mark, after.strip()[:1] or "\n"):
                return start + mark.end()
        if clause:
            return start + clause
        if len(window.rstrip()) > self._max_characters:
            return start + _split_index(window[: self._max_characters])
        return start + len(window.rstrip()) if final and window.strip() else 0

    def _ends(self, text: str, mark: re.Match[str], following: str) -> bool:
        """Whether a sentence ends at a punctuation mark. `following` is the next character, or "" if unknown."""
        before = text[: mark.start()]
        if not mark[0]:
            return not following.islower()
        wide = mark[0][0] in "。！？｡"
        if len(before.strip(_OPENING + " ")) + len(mark[0]) < (_MIN_WIDE if wide else _MIN_CHARACTERS):
            return False
        if wide:
            return True
        if mark[0] != ".":
            return bool(following) and not following.islower()
        return self._ends_at_dot(before.rsplit(None, 1)[-1].lstrip(_OPENING) if before.strip() else "", following)

    def _ends_at_dot(self, word: str, following: str) -> bool:
        """Whether a sentence ends at the dot after `word`, which may be an abbreviation."""
        lower = word.lower()
        if _TITLES.fullmatch(lower):
            return False
        if word.isdecimal() and self._ordinal_dot and len(word) <= 2:
            return False
        if _BEFORE_NUMBER.fullmatch(lower):
            return bool(following) and not following.isdecimal()
        if _MAY_END.fullmatch(lower):
            return bool(following) and not following.islower() and not following.isdecimal()
        return not (_INITIALS.fullmatch(word) and word != "I")


def split_sentences(text: str, language: str = "en", max_characters: int = MAX_CHARACTERS) -> list[str]:
    """The sentences of a whole text, each without line breaks."""
    splitter = SentenceSplitter(language, max_characters)
    return splitter.feed(text) + splitter.flush()


def _collapse_space(space: re.Match[str]) -> str:
    return "\n" if "\n" in space[0] else " "


def _first_clause_end(text: str) -> int:
    """The index of the end of the first clause that is long enough and not inside brackets; 0 if there is none."""
    for clause in _CLAUSE.finditer(text):
        before = text[: clause.end()]
        long_enough = len(before) >= (_MIN_WIDE_CLAUSE if clause[0] in "，、；：" else _MIN_CLAUSE)
        if long_enough and all(before.count(left) <= before.count(right) for left, right in ("()", "[]")):
            return clause.end()
    return 0


def _split_index(text: str) -> int:
    """The index at which to split a sentence that is too long: after its last clause, else after its last word."""
    ends = [clause.end() for clause in _CLAUSE.finditer(text) if clause.end() >= len(text) // 4]
    return ends[-1] if ends else max(text.rfind(" "), text.rfind("\n")) + 1 or len(text)
