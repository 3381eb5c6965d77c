"""The plain part of YAML that the files in deploy/ keep to, so that tests need no library to read them.

Mappings, sequences, `|` and `>-` blocks, JSON for what is on one line, plain words. All else is a ValueError: what
is ambiguous (yes, on, 1e3) and what is clever (anchors, tags, flow style that is not JSON).
"""

import json
import re
from typing import Any

_KEY = re.compile(r"""("[^"]*"|[A-Za-z_][\w./-]*):(?: (.*))?$""")
_AMBIGUOUS = re.compile(r"(?i)(y|n|yes|no|on|off|null|~|true|false|(?=.*\d)[+.\d-][\d_.:e+-]*)")


def documents(text: str) -> list[Any]:
    """All documents of a file."""
    return [_Reader(part).document() for part in re.split(r"(?m)^---\n", text) if _Reader(part).lines]


class _Reader:
    def __init__(self, text: str) -> None:
        if "\t" in text:
            raise ValueError("a tab")
        self.all = text.splitlines()
        self.lines = [n for n, line in enumerate(self.all) if line.strip() and not line.lstrip().startswith("#")]
        self.at = 0  # the next of `lines`

    def document(self) -> Any:
        value = self._value(0)
        if self.at < len(self.lines):
            raise ValueError(f"out of place: {self._line!r}")
        return value

    @property
    def _line(self) -> str:
        return re.sub(r"\s+#( .*)?$", "", self.all[self.lines[self.at]])

    @property
    def _indent(self) -> int:
        """Of the next line; -1 at the end."""
        return len(self._line) - len(self._line.lstrip()) if self.at < len(self.lines) else -1

    def _value(self, indent: int) -> Any:
        return self._sequence(indent) if self._line.lstrip().startswith("- ") else self._mapping(indent)

    def _sequence(self, indent: int) -> list[Any]:
        found: list[Any] = []
        while self._indent == indent and self._line[indent:].startswith("- "):
            rest = self._line[indent + 2 :]
            if _KEY.match(rest):
                self.all[self.lines[self.at]] = " " * (indent + 2) + rest  # a mapping that begins beside its dash
                found.append(self._mapping(indent + 2))
            else:
                self.at += 1
                found.append(_scalar(rest))
        return found

    def _mapping(self, indent: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._indent == indent and not self._line[indent:].startswith("- "):
            match = _KEY.match(self._line[indent:])
            if not match:
                raise ValueError(f"no key: {self._line!r}")
            key, rest = match[1].strip('"'), (match[2] or "").strip()
            if key in found:
                raise ValueError(f"twice: {key}")
            number = self.lines[self.at]
            self.at += 1
            if rest in ("|", ">-"):
                found[key] = self._block(number, indent, rest)
            elif rest:
                found[key] = _scalar(rest)
            elif self._indent > indent:
                found[key] = self._value(self._indent)
            else:
                raise ValueError(f"nothing below {key}")
        return found

    def _block(self, number: int, indent: int, style: str) -> str:
        """The text below a line, in which `#` is no comment."""
        body: list[str] = []
        for line in self.all[number + 1 :]:
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            body.append(line)
        while self.at < len(self.lines) and self.lines[self.at] <= number + len(body):
            self.at += 1
        while body and not body[-1].strip():
            body.pop()
        margin = len(body[0]) - len(body[0].lstrip())
        lines = [line[margin:] for line in body]
        if style == "|":
            return "\n".join(lines) + "\n"
        if any(line != line.strip() or not line for line in lines):
            raise ValueError("folded text with indented or empty lines")
        return " ".join(lines)


def _scalar(text: str) -> Any:
    """JSON, or a plain word that is nothing else."""
    try:
        return json.loads(text, parse_float=_decimal)
    except json.JSONDecodeError:
        if text[0] in "&*!|>%@`[]{},?'\"#" or ": " in text or text.endswith(":") or _AMBIGUOUS.fullmatch(text):
            raise ValueError(f"not plain: {text!r}") from None
        return text


def _decimal(text: str) -> float:
    if "e" in text.lower():
        raise ValueError(f"a number to some, a word to others: {text!r}")
    return float(text)
