"""A filter that removes reasoning (in tags such as <think>) that the server has left in a model's answers."""

import re

_TAGS = ("think", "thinking", "thought", "reasoning")
_OPENING_TAG = re.compile(rf"<({'|'.join(_TAGS)})>")
_MAX_TAG_CHARACTERS = max(map(len, _TAGS)) + len("</>")


class ReasoningFilter:
    """Removes reasoning from a model's answer that arrives in pieces. A piece may end inside a tag."""

    def __init__(self) -> None:
        self._buffer = ""  # the received text that may still turn out to be reasoning, or a tag
        self._closing_tag = ""  # the closing tag of the reasoning that is being read; "" outside of reasoning
        self.found = False  # whether the answer contained any reasoning so far

    def feed(self, text: str) -> str:
        """Add a piece of an answer; return the text that is certainly no reasoning."""
        self._buffer += text
        passed = ""
        while True:
            if self._closing_tag:
                _, tag, rest = self._buffer.partition(self._closing_tag)
                if not tag:
                    self._buffer = self._buffer[-_MAX_TAG_CHARACTERS:]
                    return passed
                self._buffer, self._closing_tag = rest, ""
            elif tag_match := _OPENING_TAG.search(self._buffer):
                passed += self._buffer[: tag_match.start()]
                self._buffer = self._buffer[tag_match.end() :]
                self._closing_tag, self.found = f"</{tag_match[1]}>", True
            else:
                certain = _certain_length(self._buffer)
                passed, self._buffer = passed + self._buffer[:certain], self._buffer[certain:]
                return passed

    def flush(self) -> str:
        """End the answer; return the text that was held back as a possible tag."""
        rest = "" if self._closing_tag else self._buffer
        self._buffer = ""
        return rest


def _certain_length(text: str) -> int:
    """The length of a text without an incomplete opening tag at its end, because reasoning may begin there."""
    start = text.rfind("<")
    incomplete = start >= 0 and any(f"<{tag}>".startswith(text[start:]) for tag in _TAGS)
    return start if incomplete else len(text)
