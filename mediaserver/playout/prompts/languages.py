"""Language variants: the prompts that callers of a language hear in place of others.

The prompts `welcome.de` and `de/welcome` are variants of `welcome` in German. Tags (BCP 47) are compared without
regard to case, and `_` counts as `-` in names, because Asterisk has folders such as `en_US`.
"""

import re
from collections.abc import Container, Iterable, Mapping, Set

# Names of language variants, by the folded tag of the language and the name of the prompt that they stand for.
Variants = Mapping[tuple[str, str], str]

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_CODES = (  # all language codes of ISO 639-1
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de "
    "dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id "
    "ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu "
    "lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu "
    "rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr "
    "ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_ISO_639_1 = frozenset(_CODES.split())


def fold_tag(tag: str) -> str:
    """A language tag in the form in which tags are compared: in lower case, with `-` between its subtags."""
    return tag.lower().replace("_", "-")


def lookup_tags(tag: str) -> list[str]:
    """The tags that are looked up for a language, the best first: `de-at`, `de` (RFC 4647, section 3.4)."""
    subtags = fold_tag(tag).split("-")
    return ["-".join(subtags[:count]) for count in range(len(subtags), 0, -1)]


def is_known(tag: str) -> bool:
    """Whether a folded tag surely names a language, because it begins with a two-letter code of ISO 639-1.

    Names often have three letters that stand for no language, although ISO 639-3 has the code: `track.one`,
    `moh/track`.
    """
    return tag.partition("-")[0] in _ISO_639_1


def readings(name: str) -> list[tuple[str, str]]:
    """Ways to read `name` as a variant: each a language's tag and a prompt's name. `de/x.fr` has two ways."""
    return [reading for reading in (_by_ending(name), _by_folder(name)) if reading is not None]


def _by_ending(name: str) -> tuple[str, str] | None:
    base, _, ending = name.rpartition(".")
    tag = fold_tag(ending)
    return (tag, base) if base and not base.endswith("/") and _TAG.fullmatch(tag) else None


def _by_folder(name: str) -> tuple[str, str] | None:
    folder, _, base = name.partition("/")
    tag = fold_tag(folder)
    return (tag, base) if base and _TAG.fullmatch(tag) else None


def find_variants(names: Iterable[str]) -> Variants:
    """The variants among prompt names. If an ending and a folder name the same language, the ending counts."""
    found: dict[tuple[str, str], str] = {}
    ordered = sorted(names)
    for read in (_by_ending, _by_folder):
        for name in ordered:
            if (reading := read(name)) is not None:
                found.setdefault(reading, name)
    return found


def variants_among(names: Set[str], tags: Container[str]) -> set[str]:
    """Those names that are variants of others among them, in a language whose tag is in `tags` or is known."""
    return {
        name
        for name in names
        # These look-ups rule out most names quickly: to parse the endings of all names as tags would take longer.
        if (name.rpartition(".")[0] in names or name.partition("/")[2] in names)
        and any(base in names and (tag in tags or is_known(tag)) for tag, base in readings(name))
    }


def find_variant(variants: Variants, name: str, language: str) -> str | None:
    """The name of the best variant of a prompt in a language; None if there is none."""
    return next((variants[tag, name] for tag in lookup_tags(language) if (tag, name) in variants), None)
