"""Suggests the right table for a setting that stands in the wrong table."""

from collections.abc import Iterator

from pydantic import BaseModel

from mediaserver.config.error_messages import KeyPath
from mediaserver.config.fields import Table
from mediaserver.config.settings import PathSettings, Settings


def _locations(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    for key, setting in model.model_fields.items():
        if isinstance(setting.annotation, type) and issubclass(setting.annotation, Table):
            yield key, f"[{above}{key}]"
            yield from _locations(setting.annotation, f"{above}{key}.")
        elif above:
            yield key, f"{above}{key}"


# What settings are called in menus, by the words that other handlers and other IVRs have for them.
_IN_MENUS = {
    "say": 'play = {say = "…"}',
    "prompt": '"play"',
    "prompts": '"play"',
    "goto": '"menu"',
}
_BY_NAME: dict[str, str] = {}
# Keys of [defaults] come first, because a misplaced `tokens` mostly means the tokens of calls, not [admin.tokens].
for _key, _location in sorted(_locations(Settings), key=lambda found: not found[1].startswith("defaults.")):
    _BY_NAME.setdefault(_key, _location)
for _key in PathSettings.model_fields:
    _BY_NAME.setdefault(_key, f'{_key} in a path, such as [paths."/hold"]')


def suggest_key(place: KeyPath, near: str) -> str:
    """The hint ` (did you mean server.port?)` for an unknown setting, if another table has a setting of its name.

    `near` is the hint for a similar name in the same table. It is returned instead, except for a top-level key.
    """
    *above, key = place
    name = str(key)
    if not above and name.startswith("/"):
        return f' (did you mean [paths."{name}"]?)'
    if name in _IN_MENUS and "menus" in above:
        return f" (did you mean {_IN_MENUS[name]}?)"
    found = _BY_NAME.get(name)
    if found is None or (above and near):
        return near
    return f" (did you mean {found}?)"
