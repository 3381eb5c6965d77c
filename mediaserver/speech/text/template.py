"""Texts with variables: `Your balance is {amount:currency:EUR}.` No I/O.

`{name}` stands for a variable's value. `{name:format}` and `{name:format:argument}` stand for the value in words,
in one of the formats of `formats.FORMATS`. `{{` and `}}` stand for braces. Braces in a value have no meaning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import NamedTuple, Self

from mediaserver.speech.text import formats


class MissingValuesError(ValueError):
    """A text cannot be spoken, because variables in it have no value; `names` lists the variables."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"no value for {', '.join(map(_in_braces, names))}")
        self.names = [formats.to_printable(name[:40]) for name in names]


class Placeholder(NamedTuple):
    """The place of a variable's value in a text. `before` is the literal text in front of the placeholder."""

    before: str
    name: str
    format: str  # the format of the value, a key of `formats.FORMATS`; "" to speak the value as it is
    argument: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text with variables, parsed once and rendered for each call. `end` is the text after all placeholders."""

    placeholders: tuple[Placeholder, ...]
    end: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a template. Raises ValueError for unmatched braces, unknown formats or their wrong arguments."""
        placeholders, before = [], ""
        for literal, name, format_and_argument, conversion in _parse_fields(text):
            before += _literal_lines(literal)
            if name is None:
                continue
            if conversion or not name.replace(".", "_").replace("-", "_").isidentifier():
                raise ValueError(f"{_in_braces(name)} is no name of a variable; a brace is written {{{{ or }}}}")
            format_name, _, argument = (format_and_argument or "").partition(":")
            try:
                formats.validate_format(format_name, argument)
            except ValueError as error:
                raise ValueError(f"{_in_braces(name)}: {error}") from None
            placeholders.append(Placeholder(before, name, format_name, argument))
            before = ""
        return cls(tuple(placeholders), before)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the template's variables, each once, in the order in which they first occur."""
        return tuple(dict.fromkeys(placeholder.name for placeholder in self.placeholders))

    def __str__(self) -> str:
        """The template as it is written, with its placeholders in braces."""
        parts = (f"{each.before}{{{':'.join(filter(None, each[1:]))}}}" for each in self.placeholders)
        return "".join((*parts, self.end))

    def preload_language(self, language: str) -> None:
        """Load what `render` needs for a language, so that no call waits tens of milliseconds for it.

        Raises ValueError for an unknown language, and for a format that cannot be spoken in the language.
        """
        formats.preload_format("", "", language)
        for placeholder in self.placeholders:
            try:
                formats.preload_format(placeholder.format, placeholder.argument, language)
            except ValueError as error:
                name = _in_braces(placeholder.name)
                raise ValueError(f"{name}: no {placeholder.format} in the language {language}: {error}") from None

    def render(self, variables: Mapping[str, str], language: str) -> str:
        """The text to be spoken, with the variables' values. All of its characters but newlines are printable.

        Raises MissingValuesError if variables have no value. Raises ValueError if a value cannot be spoken
        in the format of its placeholder; the message names the variable, and does not repeat the value.
        """
        missing = [name for name in self.names if name not in variables]
        if missing:
            raise MissingValuesError(missing)
        parts = []
        for placeholder in self.placeholders:
            value = variables[placeholder.name]
            try:
                words = formats.normalise_value(value, placeholder.format, placeholder.argument, language)
            except ValueError as error:
                kind = f" as {placeholder.format}" if placeholder.format else ""
                raise ValueError(f"{_in_braces(placeholder.name)} cannot be spoken{kind}: {error}") from None
            parts += [placeholder.before, words]
        return "".join((*parts, self.end))


def _parse_fields(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"the braces do not match ({error}); a brace is written {{{{ or }}}}") from None


def _literal_lines(text: str) -> str:
    """The literal text of a template, made printable line by line, so that the text keeps its newlines."""
    return "\n".join(map(formats.to_printable, text.splitlines())) + "\n" * text.endswith(("\n", "\r"))


def _in_braces(name: str) -> str:
    return f"{{{formats.to_printable(name[:40])}}}"
