"""Removal of Markdown from the answers of language models, because Markdown's marks must not be spoken."""

import re

from mediaserver.speech.text.formats import to_printable

_STEPS = (  # the patterns of Markdown and their replacements, which are applied in this order
    (re.compile(r"^\s*(?:```|~~~)\w*\s*"), ""),  # removes a code block's fence and language
    (re.compile(r"^\s*(?:[-*_]\s*){3,}$"), ""),  # removes a horizontal rule
    # Removes marks of quotations, headings and bullets.
    (re.compile(r"^\s*(?:>\s*)*(?:#{1,6}\s+|[-*+•]\s+(?:\[[ xX]\]\s+)?)?"), ""),
    (re.compile(r"\s#{1,6}\s*$"), ""),  # removes the closing marks of a heading
    # Links and images are replaced by their text.
    (re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\s[^()]*)?\)|\[[^\[\]]*\])"), r"\1"),
    (re.compile(r"<(https?://[^<>\s]+)>"), r"\1"),  # removes the brackets around a URL
    (re.compile(r"`+"), ""),  # removes the backquotes around code
    (re.compile(r"\*+(?=\S)|(?<=\S)\*+|~~"), ""),  # removes the marks of emphasis and strikethrough
    (re.compile(r"(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)"), ""),  # removes marks of emphasis, but not from snake_case
)


def strip_markdown(sentence: str) -> str:
    """A sentence, given as one line, without its Markdown; "" if nothing is left to speak."""
    for pattern, replacement in _STEPS:
        sentence = pattern.sub(replacement, sentence)
    return " ".join(to_printable(sentence).split())
