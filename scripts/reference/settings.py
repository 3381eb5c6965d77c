"""`settings.md`: every key of the configuration, and of each handler."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mediaserver.config.settings import Defaults, PathSettings, Settings
from mediaserver.handlers.base import Handler
from mediaserver.handlers.table import HANDLERS
from scripts.reference import example, kinds
from scripts.reference.markdown import code, page, prose, sentence, table

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
_HEADINGS = ("key", "type", "default", "what it is")
_ABOUT = """\
The configuration is a TOML file, `config.toml`. [config.example.toml](../../config.example.toml) is one to begin
with: it has every key with its default, and comments.

Every key is also an environment variable, which wins over the file. Its name is `MEDIASERVER_`, the table, two
underscores and the key: `MEDIASERVER_SERVER__PORT=9000` sets `port` of `[server]`. A list or a table is written as
JSON.

The server applies a changed file while calls go on. Settings marked *at start* need a restart."""
_PATHS = """\
A path of the URL, and the handler that serves its calls. The table of a path has its handler's settings, and may
have any key of [defaults](#defaults) with another value. `{variable}` in the path matches up to the next slash,
`{variable:.+}` slashes as well. The settings of the path may use `{variable}`."""

_EVERY_HANDLER = "Every handler has these settings, including a handler of your own."


def write() -> str:
    """The page in Markdown."""
    text = EXAMPLE.read_text(encoding="utf-8")
    notes, of_handlers = example.tables(text), example.handlers(text)
    blocks = [_ABOUT]
    for name, model in _tables(Settings):
        of_table = notes[name]
        blocks += [f"## [{name}]", _plain(sentence(of_table.intro or _first(model))), rows(model, of_table.keys)]
    for name, model in _lists():
        blocks += [f"## [[{name}]]", _plain(sentence(_first(model))), rows(model, {})]
    blocks += ["## [paths]", _PATHS, table(_HEADINGS, [_handler_row(), *_path_rows(of_handlers["menu"])])]
    blocks += [_EVERY_HANDLER, _table_of(Handler.model_fields, Handler, of_handlers["playback"])]
    for name, handler in HANDLERS.items():
        blocks += [f"## Handler {name}", prose(sentence(_first(handler)))]
        own = {key: field for key, field in handler.model_fields.items() if key not in Handler.model_fields}
        blocks.append(
            _table_of(own, handler, of_handlers.get(name, {})) if own else "It has no settings of its own."
        )
    for inner in _inner_tables():
        blocks += [f"## {kinds.title_of(inner)}", prose(sentence(_first(inner))), rows(inner, {})]
    return page("Settings", "the settings' models and config.example.toml", *blocks)


def _tables(model: type[BaseModel], place: str = "") -> list[tuple[str, type[BaseModel]]]:
    """All tables of the configuration except paths, by their names. Nested tables are included."""
    found: list[tuple[str, type[BaseModel]]] = []
    for key, field in model.model_fields.items():
        if _is_table(field.annotation) and key != "paths":
            kind: Any = field.annotation
            found += [(f"{place}{key}", kind), *_tables(kind, f"{place}{key}.")]
    return found


def _lists() -> list[tuple[str, type[BaseModel]]]:
    """The lists of tables at the top level, by their names."""
    kinds_of = {key: get_args(field.annotation) for key, field in Settings.model_fields.items()}
    return [(key, found[0]) for key, found in kinds_of.items() if found and _is_table(found[0])]


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def rows(model: type[BaseModel], notes: dict[str, str]) -> str:
    """The Markdown table of a model's keys. `notes` are the comments of the example configuration, by key."""
    return _table_of(model.model_fields, model, notes)


def _table_of(fields: Mapping[str, FieldInfo], model: type[BaseModel], notes: dict[str, str]) -> str:
    return table(_HEADINGS, _rows_of(fields, model, notes))


def _rows_of(
    fields: Mapping[str, FieldInfo], model: type[BaseModel], notes: dict[str, str]
) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for key, field in fields.items():
        if _is_table(field.annotation) and field.annotation in _SECTIONS:
            continue  # this table has a section of its own
        lines.append((code(key), _type(field), _default(field), _text(model, key, notes.get(key, ""), field)))
    return lines


_SECTIONS = {model for _, model in _tables(Settings)}


def _type(field: FieldInfo) -> str:
    bounds = kinds.bounds(field)
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return prose(kinds.name_of(kind)) + (f", {bounds}" if bounds else "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    default = kinds.default(field)
    return code(default) if default else "none"


def _text(model: type[BaseModel], key: str, note: str, field: FieldInfo) -> str:
    """The example's comment on a key, or else the description in its model. ValueError if both are missing."""
    text = note or field.description or ""
    if not text:
        raise ValueError(f"{model.__name__}.{key} has neither a note in {EXAMPLE.name} nor a description")
    return _plain(text)


def _plain(text: str) -> str:
    return prose(text.replace("docs/reference/", ""))


def _first(model: type[BaseModel]) -> str:
    """The first paragraph of a model's docstring, without the table's name at its beginning."""
    first = (model.__doc__ or "").strip().split("\n\n")[0]
    return first.split("`: ", 1)[1] if first.startswith("`[") and "`: " in first else first


def _handler_row() -> tuple[str, ...]:
    names = ", ".join(f"[{name}](#handler-{name})" for name in HANDLERS)
    own = "or a class of your own, `my_package.module:Class`"
    return (
        code("handler"),
        kinds.name_of(PathSettings.model_fields["handler"].annotation),
        "*required*",
        f"One of {names}; {own}.",
    )


def _path_rows(notes: dict[str, str]) -> list[tuple[str, ...]]:
    """The rows of the keys that only paths have, beside `handler`."""
    own = PathSettings.model_fields.keys() - Defaults.model_fields.keys() - {"handler"}
    return _rows_of({key: PathSettings.model_fields[key] for key in sorted(own)}, PathSettings, notes)


def _inner_tables() -> list[type[BaseModel]]:
    """The tables nested in settings of handlers or of sections, such as tables that operators name, each once."""
    found: list[type[BaseModel]] = []
    models = [*HANDLERS.values(), *(model for _, model in _tables(Settings))]
    waiting: list[Any] = [field.annotation for each in models for field in each.model_fields.values()]
    while waiting:
        kind = waiting.pop(0)
        if _is_table(kind) and kind not in found and kind not in _SECTIONS:
            found.append(kind)
            waiting += [field.annotation for field in kind.model_fields.values()]
        waiting += get_args(kind)
    return found
