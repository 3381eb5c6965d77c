"""Reads secrets, such as tokens, from the places that settings name, and removes secrets from logged URLs.

A setting holds a secret literally, or names the secret's place: `env:NAME` for an environment variable,
`file:PATH` for a file, such as one that Docker or Kubernetes mounts. A URL may also contain a secret, as a
password or in its query: `redact_url` and `redact_urls` remove these parts before a URL is printed or logged.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from mediaserver.errors import ConfigError, unreadable

_URL = re.compile(r"""\b[A-Za-z][A-Za-z0-9+.-]*://[^\s"'`<>\x1b]+""")
_END = ".,:;)"  # punctuation after a URL, which belongs to the sentence around the URL
_HOST = re.compile(r"(\[[\w:.%{}-]*\]|[^\s:\[\]]*)(:\d*)?")
# The beginning of a URL's query or fragment. Without a question mark, a query begins at a key such as `&token=`.
_QUERY = re.compile(r"[?#]|[&;](?=(token|sig|access_?key|key|password|secret)=)", re.IGNORECASE)


def redact_url(url: str) -> str:
    """Return a URL without its user, password, query and fragment, so that it may be shown."""
    scheme, colon, rest = url.partition("://")
    if not colon:  # `url` has no scheme or is malformed; text before an @ may still be a secret
        return _before_query(url.rpartition("@")[2])
    authority, *path = re.split(r"(?=[/?#])", rest, maxsplit=1)
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):  # `host` may be part of a password that has an unescaped / or ?
        return f"{scheme}{colon}…"
    return f"{scheme}{colon}{host}{_before_query(path[0]) if path else ''}"


def _before_query(path: str) -> str:
    query = _QUERY.search(path)
    return path[: query.start()] if query is not None else path


def strip_userinfo(url: str) -> str:
    """Return a URL without its user and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@", r"\1", url)


def redact_urls(text: str) -> str:
    """Return a text in which each URL has lost its user, password, query and fragment."""
    return _URL.sub(_redacted, text) if "://" in text else text


def _redacted(found: re.Match[str]) -> str:
    url = found[0].rstrip(_END)
    shown, end = redact_url(url), found[0][len(url) :]
    return f"{shown}?…{end}" if "?" in url and not shown.endswith("…") else f"{shown}{end}"


def resolve_secret(setting: SecretStr, key: str) -> str:
    """The secret that a setting holds, or the one at the place that it names; "" if the setting is empty.

    The function blocks if the setting names a file. If the secret cannot be read, it raises ConfigError, whose
    message has the setting's `key` and never the secret.
    """
    text = setting.get_secret_value()
    kind, _, place = text.partition(":")
    kind = kind.lower()
    if kind in ("env", "file") and not place.strip():
        raise ConfigError([f"{key}: {kind}: is incomplete: write env:NAME or file:PATH"])
    if kind == "env":
        secret = os.environ.get(place, "").strip()
        if not secret:
            raise ConfigError([f"{key}: the environment variable {place} is not set, or empty"])
        return secret
    if kind == "file":
        try:
            secret = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigError([f"{key}: {unreadable(place, error)}"]) from error
        if not secret:
            raise ConfigError([f"{key}: {place} is empty"])
        return secret
    return text.strip()


def resolve_secrets(settings: Iterable[SecretStr], key: str) -> tuple[tuple[str, ...], list[str]]:
    """The secrets that several settings hold or name, and a line for each secret that cannot be read."""
    found, problems = [], []
    for n, setting in enumerate(settings):
        try:
            found.append(resolve_secret(setting, f"{key}[{n}]"))
        except ConfigError as error:
            problems += error.problems
    return tuple(found), problems


def secret_fields(model: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, SecretStr]:
    """Pick out the unvalidated settings that are secrets, by key: the model has a SecretStr field of that name."""
    names = [name for name, field in model.model_fields.items() if field.annotation is SecretStr]
    return {name: SecretStr(settings[name]) for name in names if isinstance(settings.get(name), str)}


def resolve_secret_fields(
    model: type[BaseModel], settings: Mapping[str, Any], where: str
) -> tuple[dict[str, SecretStr], list[str]]:
    """The secrets that a model's SecretStr fields hold or name, by key, and one line per unreadable secret."""
    found, problems = {}, []
    for key, setting in secret_fields(model, settings).items():
        try:
            found[key] = SecretStr(resolve_secret(setting, f"{where}: {key}"))
        except ConfigError as error:
            problems += error.problems
    return found, problems


def secret_files(settings: Iterable[SecretStr]) -> list[Path]:
    """The files in which settings keep secrets: those that they name by `file:PATH`."""
    parts = (setting.get_secret_value().partition(":") for setting in settings)
    return [Path(place) for kind, _, place in parts if kind.lower() == "file"]
