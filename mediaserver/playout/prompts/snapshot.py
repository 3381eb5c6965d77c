"""A snapshot of the prompt folder: the prompts that there were at one moment, by name. It never changes."""

import fnmatch
import posixpath
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from mediaserver.errors import PromptError, did_you_mean
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts import languages
from mediaserver.playout.prompts.prompt_store import AmplifiedPrompt, Prompt


@dataclass(frozen=True)
class PromptSnapshot:
    """The prompts of the folder by name, and the reasons why other files cannot be played.

    A snapshot never changes: when the folder changes, the library makes another snapshot. A call therefore keeps
    the prompts that existed when the call began.
    """

    by_name: Mapping[str, Prompt] = field(default_factory=dict)
    # The reasons why files cannot be played: by prompt name, then by the file's path in the folder.
    problems: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    version: int = 0  # a number that grows with each snapshot in which prompts have changed
    # Paths of sound files in formats that cannot be decoded, by the prompt names that they would have.
    undecodable: Mapping[str, str] = field(default_factory=dict)
    gain: float = 0.0  # dB by which `get` and `match` amplify the prompts
    language: str = ""  # the tag (BCP 47) of the language in which `get` and `match` prefer prompts; "" for none
    # Language variants of prompts if `language` is set.
    _variants: languages.Variants = field(default_factory=dict, repr=False)

    def view(self, *, gain: float = 0.0, language: str = "") -> "PromptSnapshot":
        """A snapshot of the same prompts whose `get` and `match` prefer a language, and amplify by `gain` dB."""
        if (gain, language) == (self.gain, self.language):
            return self
        return replace(self, gain=gain, language=language, _variants=self.language_variants if language else {})

    @cached_property
    def language_variants(self) -> languages.Variants:
        """The names that can be read as variants of others in a language, whether or not these others exist."""
        return languages.find_variants(self.by_name)

    def get(self, name: str) -> Prompt | AmplifiedPrompt:
        """The prompt with this name, or its variant in the snapshot's language.

        PromptError if there is no such prompt, or if its file cannot be played.
        """
        prompt = self.find(name)
        return prompt.amplified(self.gain) if self.gain else prompt

    def find(self, name: str) -> Prompt:
        """The prompt as `get` finds it, without the snapshot's gain. It raises the errors of `get`."""
        normal = unicodedata.normalize("NFC", name)
        variant = languages.find_variant(self._variants, normal, self.language) if self._variants else None
        prompt = self.by_name.get(variant or normal)
        if prompt is not None:
            return prompt
        for file, why in self.problems.get(normal, {}).items():
            raise PromptError(f'prompt "{name}" cannot be played: {file} {why}')
        raise PromptError(f'no prompt "{name}"{self._hint(normal)}')

    def _hint(self, name: str) -> str:
        if name in self.undecodable:
            return f": {self.undecodable[name]} is of a kind that cannot be decoded, convert it to WAV"
        bare, extension = posixpath.splitext(name)
        is_file = extension.lower() in EXTENSIONS
        inner = bare if is_file else name
        while "/" in inner:
            inner = inner.partition("/")[2]
            if inner in self.by_name:
                return f' (did you mean "{inner}"? Prompts are named by their path in the prompt folder)'
        if not is_file:
            return did_you_mean(name, self.by_name)
        if bare in self.by_name:
            return f' (did you mean "{bare}"? Prompts are named without the extension)'
        return f"{did_you_mean(bare, self.by_name)}: prompts are named without the extension"

    def match(self, patterns: Iterable[str]) -> list[Prompt | AmplifiedPrompt]:
        """The prompts that names and globs match, in the order of `patterns`.

        The matches of one glob are sorted by name. If a prompt has a variant in the snapshot's language, the
        variant is returned. PromptError if a name or a glob matches no prompt.
        """
        return [self.get(name) for pattern in patterns for name in self.match_names(pattern)]

    def match_names(self, pattern: str) -> list[str]:
        """The names that a glob matches, sorted; a name without a glob's signs is returned as it is.

        A variant of another name that the glob matches is left out. PromptError if a glob matches no prompt.
        """
        if pattern in self.by_name or not any(sign in pattern for sign in "*?["):
            return [pattern]
        names = fnmatch.filter(self.by_name, pattern)
        if not names:
            raise PromptError(f'no prompt matches "{pattern}"')
        own = languages.lookup_tags(self.language)
        return sorted(set(names) - languages.variants_among(frozenset(names), own))

    def updated(
        self, prompts: Mapping[str, Prompt | None], problems: Mapping[str, Mapping[str, str]]
    ) -> "PromptSnapshot":
        """A new snapshot in which `prompts` are added, replaced or (if None) removed, and `problems` updated."""
        kept = {name: prompt for name, prompt in {**self.by_name, **prompts}.items() if prompt is not None}
        wrong = {name: why for name, why in {**self.problems, **problems}.items() if why}
        return PromptSnapshot(kept, wrong, self.version + bool(prompts), self.undecodable)
