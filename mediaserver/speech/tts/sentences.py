"""Text cut into sentences that can be spoken one after another, also while it still streams in.

Where a text is cut depends on the text alone, not on the pieces it comes in, and only white space is changed.
"""

import re

LONGEST = 200  # characters: what is longer is cut at a clause, so that its beginning is heard soon
_SHORTEST = 10  # a shorter sentence is said in one with the next
_SHORTEST_WIDE = 4  # the same of characters that are words
_EARLY = 20  # characters, some four words: so much of a text may be said by itself, if that is the sooner
_EARLY_WIDE = 8
_OPENING = "\"'“‘„«»‹›([{*_`"
_END = re.compile(r"""(?:[.!?…]+["'”’“‘»«›)\]}*_`]*(?=\s)|[。！？｡]+["'”’»」』）】〉》]*)|(?=\n)""")
_CLAUSE = re.compile(r"[,;:–—](?=\s)|[，、；：]")
_TITLES = re.compile(  # something follows them
    r"mr|mrs|ms|dr|prof|st|rev|hon|gen|col|capt|sgt|lt|gov|sen|rep|vs|approx|dept|est|resp|e\.g|i\.e"
    r"|hr|fr|bzw|ca|evtl|ggf|inkl|zzgl|tel|z\.b|d\.h|u\.a|mme|mlle|sr|sra|dra"
)
_MAY_END = re.compile(
    r"etc|inc|ltd|co|corp|jr|bros|usw|dgl|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|a\.m|p\.m"
)
_NUMBERED = re.compile(r"no|nr|nos|fig|vol|p|pp|art|abs|ch|sec|ext|max|min")  # before a number
_DOTTED = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # U.S, J
_NUMERAL_DOT = re.compile(r"(?:de|da|nb|nn|no|fi|is|cs|sk|sl|hr|sr|bs|hu|et|lv|pl|tr)\b.*")  # the 3rd is "3."


class Splitter:
    """Sentences of a text that comes in pieces of any size: each as soon as it is certain to be complete.

    `early`: somebody waits for the first, so that it ends at a clause already.
    """

    def __init__(self, language: str = "en", longest: int = LONGEST, early: bool = False) -> None:
        self._early = early  # the first is still to come
        self._numeral_dot = bool(_NUMERAL_DOT.fullmatch(language.lower().replace("_", "-")))
        self._longest = longest
        self._text = ""

    def feed(self, text: str) -> list[str]:
        """More of the text; the sentences that it completes."""
        self._text = re.sub(r"\s+", _one_space, self._text + text)
        return self._take(final=False)

    def flush(self) -> list[str]:
        """What is left, as the text is over."""
        sentences = self._take(final=True)
        self._text = ""
        return sentences

    def _take(self, final: bool) -> list[str]:
        sentences, start = [], 0
        while True:
            start += len(self._text[start : start + 1]) - len(self._text[start : start + 1].lstrip())
            end = self._end(start, final)
            if not end:
                break
            sentences.append(" ".join(self._text[start:end].split()))
            start, self._early = end, False
        self._text = self._text[start:]
        return sentences

    def _end(self, start: int, final: bool) -> int:
        """Where the sentence ends that begins at `start`; 0 where that is not known yet, or nothing is left."""
        window = self._text[start : start + self._longest + 2]  # a space and a letter more
        clause = _first_clause(window[: self._longest + 1]) if self._early else 0
        for mark in _END.finditer(window):
            if mark.end() > (clause or self._longest):
                break
            after = window[mark.end() :]
            if not after.strip() and not final:
                certain = after and mark[0] and self._ends(window, mark, "")
                return start + mark.end() if certain else 0
            if self._ends(window, mark, after.strip()[:1] or "\n"):
                return start + mark.end()
        if clause:
            return start + clause
        if len(window.rstrip()) > self._longest:
            return start + _cut(window[: self._longest])
        return start + len(window.rstrip()) if final and window.strip() else 0

    def _ends(self, text: str, mark: re.Match[str], following: str) -> bool:
        """Whether a sentence ends at a mark; `following` is the next character, "" for whichever that may be."""
        before = text[: mark.start()]
        if not mark[0]:
            return not following.islower()
        wide = mark[0][0] in "。！？｡"
        if len(before.strip(_OPENING + " ")) + len(mark[0]) < (_SHORTEST_WIDE if wide else _SHORTEST):
            return False
        if wide:
            return True
        if mark[0] != ".":
            return bool(following) and not following.islower()
        return self._ends_at_dot(before.rsplit(None, 1)[-1].lstrip(_OPENING) if before.strip() else "", following)

    def _ends_at_dot(self, word: str, following: str) -> bool:
        lower = word.lower()
        if _TITLES.fullmatch(lower):
            return False
        if word.isdecimal() and self._numeral_dot and len(word) <= 2:
            return False
        if _NUMBERED.fullmatch(lower):
            return bool(following) and not following.isdecimal()
        if _MAY_END.fullmatch(lower):
            return bool(following) and not following.islower() and not following.isdecimal()
        return not (_DOTTED.fullmatch(word) and word != "I")


def split(text: str, language: str = "en", longest: int = LONGEST) -> list[str]:
    """A whole text's sentences, each on one line."""
    splitter = Splitter(language, longest)
    return splitter.feed(text) + splitter.flush()


def _one_space(space: re.Match[str]) -> str:
    return "\n" if "\n" in space[0] else " "


def _first_clause(text: str) -> int:
    """Where the first clause ends that can be said by itself, amid no brackets; 0 where none is known to."""
    for clause in _CLAUSE.finditer(text):
        before = text[: clause.end()]
        long_enough = len(before) >= (_EARLY_WIDE if clause[0] in "，、；：" else _EARLY)
        if long_enough and all(before.count(left) <= before.count(right) for left, right in ("()", "[]")):
            return clause.end()
    return 0


def _cut(text: str) -> int:
    """Where to cut what is too long: at the last clause, or else word."""
    ends = [clause.end() for clause in _CLAUSE.finditer(text) if clause.end() >= len(text) // 4]
    return ends[-1] if ends else max(text.rfind(" "), text.rfind("\n")) + 1 or len(text)
