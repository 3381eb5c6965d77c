"""Tokens and keys: where they are kept, and never what they are.

A setting holds one literally, or names the place: `env:NAME`, an environment variable, or `file:PATH`, a file such
as those that Docker and Kubernetes mount. A URL may hold one as well, as its user's password or in its query:
`shown_url` and `without_secrets` have what may be printed and logged.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from mediaserver.errors import ConfigError, plainly

_URL = re.compile(r"""\b[A-Za-z][A-Za-z0-9+.-]*://[^\s"'`<>\x1b]+""")
_END = ".,:;)"  # of a sentence that a URL stands in
_HOST = re.compile(r"(\[[\w:.%{}-]*\]|[^\s:\[\]]*)(:\d*)?")
# A query, a fragment, or what would be a query but for its question mark.
_QUERY = re.compile(r"[?#]|[&;](?=(token|sig|access_?key|key|password|secret)=)", re.IGNORECASE)


def shown_url(url: str) -> str:
    """What may be shown of a URL: where it leads, without a user, a password, a query and a fragment."""
    scheme, colon, rest = url.partition("://")
    if not colon:  # a path, or a URL with a mistake in it: what is before an @ may be anything
        return _before_query(url.rpartition("@")[2])
    authority, *path = re.split(r"(?=[/?#])", rest, maxsplit=1)
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):  # a password with an unescaped / or ? in it, for all we know
        return f"{scheme}{colon}…"
    return f"{scheme}{colon}{host}{_before_query(path[0]) if path else ''}"


def _before_query(path: str) -> str:
    query = _QUERY.search(path)
    return path[: query.start()] if query is not None else path


def without_user(url: str) -> str:
    """A URL without a user and a password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@", r"\1", url)


def without_secrets(text: str) -> str:
    """A text with no more of each URL in it than may be shown."""
    return _URL.sub(_hidden, text) if "://" in text else text


def _hidden(found: re.Match[str]) -> str:
    url = found[0].rstrip(_END)
    shown, end = shown_url(url), found[0][len(url) :]
    return f"{shown}?…{end}" if "?" in url and not shown.endswith("…") else f"{shown}{end}"


def reveal(setting: SecretStr, key: str) -> str:
    """The secret that a setting holds or names, "" for none; ConfigError names the `key`, never the secret."""
    text = setting.get_secret_value()
    kind, _, place = text.partition(":")
    kind = kind.lower()
    if kind in ("env", "file") and not place.strip():
        raise ConfigError([f"{key}: {kind}: names nothing: it is env:NAME, or file:PATH"])
    if kind == "env":
        secret = os.environ.get(place, "").strip()
        if not secret:
            raise ConfigError([f"{key}: the environment variable {place} is not set, or empty"])
        return secret
    if kind == "file":
        try:
            secret = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigError([f"{key}: {place} cannot be read: {plainly(error)}"]) from error
        if not secret:
            raise ConfigError([f"{key}: {place} is empty"])
        return secret
    return text.strip()


def reveal_all(settings: Iterable[SecretStr], key: str) -> tuple[tuple[str, ...], list[str]]:
    """Several secrets, and what is wrong with those that are not there."""
    found, problems = [], []
    for n, setting in enumerate(settings):
        try:
            found.append(reveal(setting, f"{key}[{n}]"))
        except ConfigError as error:
            problems += error.problems
    return tuple(found), problems


def secret_fields(model: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, SecretStr]:
    """Those of a model's settings, not yet validated, that hold secrets or name their places."""
    names = [name for name, field in model.model_fields.items() if field.annotation is SecretStr]
    return {name: SecretStr(settings[name]) for name in names if isinstance(settings.get(name), str)}


def reveal_fields(
    model: type[BaseModel], settings: Mapping[str, Any], where: str
) -> tuple[dict[str, SecretStr], list[str]]:
    """The secrets themselves in place of these settings, and what is wrong with those that are not there."""
    found, problems = {}, []
    for key, setting in secret_fields(model, settings).items():
        try:
            found[key] = SecretStr(reveal(setting, f"{where}: {key}"))
        except ConfigError as error:
            problems += error.problems
    return found, problems


def files_of(settings: Iterable[SecretStr]) -> list[Path]:
    """The files that secrets are kept in."""
    parts = (setting.get_secret_value().partition(":") for setting in settings)
    return [Path(place) for kind, _, place in parts if kind.lower() == "file"]
