"""Where settings belong that stand elsewhere."""

from collections.abc import Iterator

from pydantic import BaseModel

from mediaserver.config.fields import Table
from mediaserver.config.mistakes import Place
from mediaserver.config.settings import PathSettings, Settings


def _places(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    for key, setting in model.model_fields.items():
        if isinstance(setting.annotation, type) and issubclass(setting.annotation, Table):
            yield key, f"[{above}{key}]"
            yield from _places(setting.annotation, f"{above}{key}.")
        elif above:
            yield key, f"{above}{key}"


_THERE: dict[str, str] = {}
for _key, _place in _places(Settings):
    _THERE.setdefault(_key, _place)
for _key in PathSettings.model_fields:
    _THERE.setdefault(_key, f'{_key} in a path, such as [paths."/hold"]')


def elsewhere(place: Place, near: str) -> str:
    """` (did you mean server.port?)` for a setting that there is not, where another table has one of that name.

    What its own table has of almost that name is rather meant, but for the names of the tables themselves.
    """
    *above, key = place
    name = str(key)
    if not above and name.startswith("/"):
        return f' (did you mean [paths."{name}"]?)'
    found = _THERE.get(name)
    if found is None or (above and near):
        return near
    return f" (did you mean {found}?)"
