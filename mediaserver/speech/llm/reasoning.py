"""What some models think before they answer, written into the answer between tags."""

import re

_TAGS = ("think", "thinking", "thought", "reasoning")
_OPENS = re.compile(rf"<({'|'.join(_TAGS)})>")
_LONGEST = max(map(len, _TAGS)) + len("</>")


class Thoughts:
    """Leaves them out of an answer that comes in pieces, which may be cut amid a tag."""

    def __init__(self) -> None:
        self._text = ""  # not known yet whether it is said
        self._closes = ""  # the tag that ends the present thought, if there is one
        self.any = False  # so far

    def feed(self, text: str) -> str:
        """More of an answer: what is certain to be said of it."""
        self._text += text
        said = ""
        while True:
            if self._closes:
                _, closed, rest = self._text.partition(self._closes)
                if not closed:
                    self._text = self._text[-_LONGEST:]
                    return said
                self._text, self._closes = rest, ""
            elif opens := _OPENS.search(self._text):
                said += self._text[: opens.start()]
                self._text, self._closes, self.any = self._text[opens.end() :], f"</{opens[1]}>", True
            else:
                certain = _certain(self._text)
                said, self._text = said + self._text[:certain], self._text[certain:]
                return said

    def flush(self) -> str:
        """The answer is over: what is left to be said."""
        left = "" if self._closes else self._text
        self._text = ""
        return left


def _certain(text: str) -> int:
    """Where a tag may begin that is not complete."""
    start = text.rfind("<")
    begun = start >= 0 and any(f"<{tag}>".startswith(text[start:]) for tag in _TAGS)
    return start if begun else len(text)
