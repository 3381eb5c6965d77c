"""Texts with values in them: `Your balance is {amount:currency:EUR}.` No I/O.

`{name}` is a variable's value; `{name:format}` and `{name:format:argument}` are the same in words, by
`wording.FORMATS`; `{{` and `}}` are braces. Values are never looked at for braces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import NamedTuple, Self

from mediaserver.speech.text import wording


class MissingValuesError(ValueError):
    """A text cannot be spoken: variables in it have no value."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"no value for {', '.join(map(_shown, names))}")
        self.names = [wording.plain(name[:40]) for name in names]


class Gap(NamedTuple):
    """Where a value goes, after some text of the template's own."""

    before: str
    name: str
    format: str
    argument: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text that is parsed once, and rendered for each call."""

    gaps: tuple[Gap, ...]
    end: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError for braces that do not match, a format there is not, and one that takes no argument."""
        gaps, before = [], ""
        for literal, name, format_and_argument, conversion in _fields(text):
            before += _lines(literal)
            if name is None:
                continue
            if conversion or not name.replace(".", "_").replace("-", "_").isidentifier():
                raise ValueError(f"{_shown(name)} is no name of a variable; a brace is written {{{{ or }}}}")
            word, _, argument = (format_and_argument or "").partition(":")
            try:
                wording.check_format(word, argument)
            except ValueError as error:
                raise ValueError(f"{_shown(name)}: {error}") from None
            gaps.append(Gap(before, name, word, argument))
            before = ""
        return cls(tuple(gaps), before)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that are named, each once."""
        return tuple(dict.fromkeys(gap.name for gap in self.gaps))

    def __str__(self) -> str:
        """Its text, with the gaps as they are written."""
        gaps = (f"{gap.before}{{{':'.join(filter(None, gap[1:]))}}}" for gap in self.gaps)
        return "".join((*gaps, self.end))

    def prepare(self, language: str) -> None:
        """Load what rendering needs, tens of milliseconds at first; ValueError for an unknown language."""
        wording.prepare("", "", language)
        for gap in self.gaps:
            try:
                wording.prepare(gap.format, gap.argument, language)
            except ValueError as error:
                raise ValueError(
                    f"{_shown(gap.name)}: no {gap.format} in the language {language}: {error}"
                ) from None

    def render(self, variables: Mapping[str, str], language: str) -> str:
        """The text to be spoken, printable but for newlines; ValueError names the variables at fault.

        MissingValuesError where some have none.
        """
        missing = [name for name in self.names if name not in variables]
        if missing:
            raise MissingValuesError(missing)
        spoken = []
        for gap in self.gaps:
            try:
                words = wording.in_words(variables[gap.name], gap.format, gap.argument, language)
            except ValueError as error:
                kind = f" as {gap.format}" if gap.format else ""
                raise ValueError(f"{_shown(gap.name)} cannot be spoken{kind}: {error}") from None
            spoken += [gap.before, words]
        return "".join((*spoken, self.end))


def _fields(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"the braces do not match ({error}); a brace is written {{{{ or }}}}") from None


def _lines(text: str) -> str:
    """A template's own text keeps its lines."""
    return "\n".join(map(wording.plain, text.splitlines())) + "\n" * text.endswith(("\n", "\r"))


def _shown(name: str) -> str:
    return f"{{{wording.plain(name[:40])}}}"
