"""Markdown, as chat models write it, without what must not be spoken."""

import re

from mediaserver.speech.text.wording import plain

_STEPS = (
    (re.compile(r"^\s*(?:```|~~~)\w*\s*"), ""),  # a fence of code, and its language
    (re.compile(r"^\s*(?:[-*_]\s*){3,}$"), ""),  # a rule
    (re.compile(r"^\s*(?:>\s*)*(?:#{1,6}\s+|[-*+•]\s+(?:\[[ xX]\]\s+)?)?"), ""),  # quotations, headings, bullets
    (re.compile(r"\s#{1,6}\s*$"), ""),
    (
        re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\s[^()]*)?\)|\[[^\[\]]*\])"),
        r"\1",
    ),  # links and images: their text
    (re.compile(r"<(https?://[^<>\s]+)>"), r"\1"),
    (re.compile(r"`+"), ""),
    (re.compile(r"\*+(?=\S)|(?<=\S)\*+|~~"), ""),
    (re.compile(r"(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)"), ""),
)


def without_markdown(sentence: str) -> str:
    """What is to be spoken of a sentence of the splitter's, which are one line each; "" where nothing is."""
    for pattern, instead in _STEPS:
        sentence = pattern.sub(instead, sentence)
    return " ".join(plain(sentence).split())
