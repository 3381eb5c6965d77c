"""A snapshot of the prompts that can be played at one time, in which paths and calls look prompts up by name."""

import fnmatch
import posixpath
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mediaserver.errors import PromptError, did_you_mean
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts.prompt_store import AmplifiedPrompt, Prompt


@dataclass(frozen=True)
class PromptSnapshot:
    """The prompts of the folder by name, and the reasons why other files cannot be played.

    A snapshot never changes: when the folder changes, the library makes another snapshot. A call therefore keeps
    the prompts that existed when the call began.
    """

    by_name: Mapping[str, Prompt] = field(default_factory=dict)
    # Why files cannot be played: by prompt name, then by the file's path in the folder.
    problems: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    version: int = 0  # grows with each snapshot in which prompts have changed
    # Paths of sound files in formats that cannot be decoded, by the prompt names that they would have.
    undecodable: Mapping[str, str] = field(default_factory=dict)
    gain: float = 0.0  # dB by which `get` and `match` amplify the prompts

    def amplified(self, gain: float) -> "PromptSnapshot":
        """The same prompts, which `get` and `match` return amplified by `gain` dB."""
        return replace(self, gain=gain) if gain != self.gain else self

    def get(self, name: str) -> Prompt | AmplifiedPrompt:
        """The prompt with this name; PromptError where there is none, or where its file cannot be played."""
        normal = unicodedata.normalize("NFC", name)
        prompt = self.by_name.get(normal)
        if prompt is not None:
            return prompt.amplified(self.gain) if self.gain else prompt
        for file, why in self.problems.get(normal, {}).items():
            raise PromptError(f'prompt "{name}" cannot be played: {file} {why}')
        raise PromptError(f'no prompt "{name}"{self._hint(normal)}')

    def _hint(self, name: str) -> str:
        if name in self.undecodable:
            return f": {self.undecodable[name]} is of a kind that cannot be decoded, convert it to WAV"
        bare, extension = posixpath.splitext(name)
        if extension.lower() not in EXTENSIONS:
            return did_you_mean(name, self.by_name)
        if bare in self.by_name:
            return f' (did you mean "{bare}"? Prompts are named without the extension)'
        return f"{did_you_mean(bare, self.by_name)}: prompts are named without the extension"

    def match(self, patterns: Iterable[str]) -> list[Prompt | AmplifiedPrompt]:
        """The prompts that names and globs match, in the order of `patterns`; a glob's are sorted by name.

        PromptError where a name or a glob matches no prompt.
        """
        matched: list[Prompt | AmplifiedPrompt] = []
        for pattern in patterns:
            if pattern not in self.by_name and any(sign in pattern for sign in "*?["):
                names = sorted(fnmatch.filter(self.by_name, pattern))
                if not names:
                    raise PromptError(f'no prompt matches "{pattern}"')
            else:
                names = [pattern]
            matched += map(self.get, names)
        return matched

    def updated(
        self, prompts: Mapping[str, Prompt | None], problems: Mapping[str, Mapping[str, str]]
    ) -> "PromptSnapshot":
        """A new snapshot in which `prompts` are added, replaced or (if None) removed, and `problems` updated."""
        kept = {name: prompt for name, prompt in {**self.by_name, **prompts}.items() if prompt is not None}
        wrong = {name: why for name, why in {**self.problems, **problems}.items() if why}
        return PromptSnapshot(kept, wrong, self.version + bool(prompts), self.undecodable)
