"""The prompts that there are at one time, by name."""

import fnmatch
import posixpath
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mediaserver.errors import PromptError, did_you_mean
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts.prompt_store import Prompt


@dataclass(frozen=True)
class Catalogue:
    """Prompts, and why others cannot be played: by name, then by the file's path in the folder.

    It never changes; a library has another one when its folder changes. So a stream goes on with the prompts that
    there were when it began.
    """

    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    problems: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    version: int = 0

    def get(self, name: str) -> Prompt:
        """The prompt of that name; PromptError where there is none, or where its file is broken."""
        normal = unicodedata.normalize("NFC", name)
        prompt = self.prompts.get(normal)
        if prompt is not None:
            return prompt
        for file, why in self.problems.get(normal, {}).items():
            raise PromptError(f'prompt "{name}" cannot be played: {file} {why}')
        raise PromptError(f'no prompt "{name}"{self._hint(normal)}')

    def _hint(self, name: str) -> str:
        bare, extension = posixpath.splitext(name)
        if extension.lower() not in EXTENSIONS:
            return did_you_mean(name, self.prompts)
        if bare in self.prompts:
            return f' (did you mean "{bare}"? Prompts are named without the extension)'
        return f"{did_you_mean(bare, self.prompts)}: prompts are named without the extension"

    def match(self, patterns: Iterable[str]) -> list[Prompt]:
        """Prompts by names and globs, in the order given, a glob's by name; PromptError where one has none."""
        matched: list[Prompt] = []
        for pattern in patterns:
            if pattern not in self.prompts and any(sign in pattern for sign in "*?["):
                names = sorted(fnmatch.filter(self.prompts, pattern))
                if not names:
                    raise PromptError(f'no prompt matches "{pattern}"')
            else:
                names = [pattern]
            matched += map(self.get, names)
        return matched

    def changed(
        self, prompts: Mapping[str, Prompt | None], problems: Mapping[str, Mapping[str, str]]
    ) -> "Catalogue":
        """One with other prompts, or without those that are None, and with what is wrong with these names now."""
        kept = {name: prompt for name, prompt in {**self.prompts, **prompts}.items() if prompt is not None}
        wrong = {name: why for name, why in {**self.problems, **problems}.items() if why}
        return Catalogue(kept, wrong, self.version + bool(prompts))
