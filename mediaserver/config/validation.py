"""Validates a table of settings, and finds all mistakes in it at once.

Pydantic does not run the validators of a whole table while one of its values is invalid. Therefore, invalid values
are reported and dropped, and the remaining values are validated again, until none of them is invalid.
"""

import contextlib
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from mediaserver.config import error_messages
from mediaserver.config.error_messages import MISSING, UNKNOWN, KeyPath, Problem
from mediaserver.config.fields import UrlError
from mediaserver.errors import did_you_mean

# The beginning of a message about a whole table, if the message begins with a key of that table.
_KEYED = re.compile(r'((?:[\w.*#-]|"[^"]*")+): ')
_HINT = re.compile(r" \(did you mean .*\?\)")
# The types of errors that no value of a `{variable}` can correct, because the setting may not be a text at all.
_NEVER_TEXT = {UNKNOWN, "dict_type", "list_type", "tuple_type", "model_type", "model_attributes_type"}
_PASSES = 50  # the number of validations after which the search for mistakes ends; each drops at least one value

M = TypeVar("M", bound=BaseModel)
# A table's raw values, and the table that was built from them, by Python's `id` of the raw values.
Built = dict[int, tuple[Any, Any]]
# A function that takes the key of an unknown setting, and a suggestion for a similar key of the same table. It
# returns the suggestion to show, ` (did you mean …?)`, or "".
Suggest = Callable[[KeyPath, str], str]
# A function that takes a key and the message of a mistake. It returns whether the mistake may disappear later,
# such as when a `{variable}` is filled in.
IsProvisional = Callable[[KeyPath, str], bool]


class Validated(NamedTuple):
    """A table without its invalid values, and the problems with those values.

    `table` is None if too few values are valid. If `complete` is False, required settings that are missing have
    the value None in `table`.
    """

    table: Any
    problems: list[Problem]
    complete: bool = True


def validate_table(
    model: type[M],
    values: dict[str, Any],
    suggest: Suggest = lambda key, similar: similar,
    is_provisional: IsProvisional = lambda key, text: False,
) -> Validated:
    """Build a table of settings from a file's values, and collect all mistakes in them.

    A mistake is not reported if it only follows from another mistake, or if `is_provisional` returns True for it.
    """
    partial = _PartialTable(model, values, suggest, is_provisional)
    for _ in range(_PASSES):
        built: Built = {}
        try:
            return partial.result(partial.model.model_validate(partial.values, context=built))
        except ValidationError as error:
            if (final := partial.drop_invalid(error, built)) is not None:
                return final
        except (AttributeError, TypeError):  # a validator of the table met None in place of a missing setting
            if partial.is_complete:
                raise
            return partial.result(built.get(id(partial.values), (None, None))[1])
    return Validated(None, partial.problems, complete=False)


class _PartialTable:
    """The values of a table, from which invalid values are dropped, and the problems found so far."""

    def __init__(
        self, model: type[BaseModel], values: dict[str, Any], suggest: Suggest, is_provisional: IsProvisional
    ) -> None:
        self.values: Any = _copy(values)
        self.problems: list[Problem] = []
        self.model, self._suggest, self._is_provisional = model, suggest, is_provisional
        self.is_complete = True
        self._dropped: set[KeyPath] = set()  # the keys whose values are invalid, or given under a misspelt key
        self._indices: dict[
            int, list[int]
        ] = {}  # the indices in the file of each list's remaining entries, by Python's `id` of the list
        # The tables that were emptied, because an error concerned the whole table.
        self._invalid_tables: list[tuple[KeyPath, Any]] = []

    def result(self, table: Any) -> Validated:
        """The validated table. Emptied inner tables get their values back, so that later checks see the values."""
        for key, invalid in reversed(self._invalid_tables):
            table = _replaced(table, key, invalid)
        return Validated(table, self.problems, self.is_complete)

    def drop_invalid(self, error: ValidationError, built: Built) -> Validated | None:
        """Report the mistakes in a validation error, and drop the values that caused them.

        Returns the final result if no further check can find more mistakes. Otherwise returns None: the remaining
        values are to be validated again.
        """
        dropping: list[KeyPath] = []
        errors = error.errors(include_url=False)
        for details in errors:
            if details["type"] == UNKNOWN:
                self._note_misspelling(self._key_in_file(details))
        uncertain = {self._key_in_file(details) for details in errors if not _is_certain(details)}
        for details in errors:
            key = self._key_in_file(details)
            _, table = built.get(id(details["input"]), (None, None))
            if table is not None and details["type"] in ("value_error", "assertion_error"):
                self._report_table(details, key)
                if not key:
                    return self.result(table)
                self._empty_table(key, table)
            elif key not in dropping:  # for a union, pydantic reports one error for each member
                self._report(details, key, may_be_provisional=key in uncertain)
                dropping.append(key if details["type"] != MISSING else key[:-1])
        if () in dropping and not self._make_optional(errors):
            return Validated(None, self.problems, complete=False)
        for key in filter(None, dropping):
            self._remove(key)
        return None

    def _make_optional(self, errors: Iterable[Any]) -> bool:
        """Make missing required settings of the table optional, so that its other settings can be checked.

        Returns False if no setting is missing: another mistake then makes the table as a whole invalid.
        """
        absent = [str(each["loc"][0]) for each in errors if each["type"] == MISSING and len(each["loc"]) == 1]
        fields: dict[str, Any] = {name: (Any, None) for name in absent if name in self.model.model_fields}
        self.model, self.is_complete = create_model(self.model.__name__, __base__=self.model, **fields), False
        return bool(fields)

    def _report(self, details: Any, key: KeyPath, *, may_be_provisional: bool) -> None:
        hint = ""
        if details["type"] == UNKNOWN:
            hint = self._suggest(key, self._similar_key(key))
        found = error_messages.explain_error(details, key, self.model, hint)
        follows = key in self._dropped or (details["type"] == MISSING and key[:-1] in self._dropped)
        if not follows and not any(each[: len(key)] == key for each in self._dropped):
            self.problems += [
                each for each in found if not (may_be_provisional and self._is_provisional(key, each.text))
            ]
            if details["type"] == MISSING:
                self.problems += self._misspelt_as(key)
        self._dropped.add(key)

    def _misspelt_as(self, missing: KeyPath) -> list[Problem]:
        """In a table that allows any key: a problem for each unknown key that resembles the missing key."""
        *above, name = missing
        table, known = self._parent(missing)[0], error_messages.known_settings(missing, self.model)
        return [
            Problem((*above, each), f"unknown setting{hint}")
            for each in (table if isinstance(table, dict) else ())
            if each not in known and (hint := did_you_mean(each, [str(name)]))
        ]

    def _note_misspelling(self, key: KeyPath) -> None:
        """If an unknown key is a misspelt setting, do not report this setting as missing, too."""
        if similar := self._similar_key(key):
            meant = similar.split('"')[1]
            if meant not in self._parent(key)[0]:
                self._dropped.add((*key[:-1], meant))

    def _similar_key(self, key: KeyPath) -> str:
        return did_you_mean(str(key[-1]), error_messages.known_settings(key, self.model))

    def _report_table(self, details: Any, key: KeyPath) -> None:
        """Report the mistakes of a whole table, except those that only follow from values that were dropped."""
        dropped = [each[len(key) :] for each in self._dropped if each[: len(key)] == key != each]
        self.problems += [
            each
            for each in error_messages.explain_error(details, key, self.model)
            if not _is_consequence(each.text, dropped) and not self._is_provisional(key, each.text)
        ]

    def _key_in_file(self, details: Any) -> KeyPath:
        """Turn pydantic's location of an error into a key path in the configuration file.

        Entries of lists get the indices that they have in the file, because entries before them may have been
        dropped. Parts of the location that are no keys, such as the type of a union's member, are left out.
        """
        key, value = [], self.values
        for part in details["loc"]:
            if isinstance(value, dict) and part in value:
                key.append(part)
                value = value[part]
            elif isinstance(value, list) and isinstance(part, int):
                key.append(self._indices_of(value)[part])
                value = value[part]
        if details["type"] == MISSING:
            key.append(details["loc"][-1])
        return tuple(key)

    def _indices_of(self, entries: list[Any]) -> list[int]:
        return self._indices.setdefault(id(entries), list(range(len(entries))))

    def _parent(self, key: KeyPath) -> tuple[Any, Any]:
        """The table or list that holds a value ({} if it was dropped), and the value's key or index in it."""
        parent, at, value = {}, None, self.values
        for part in key:
            parent, at = value, part
            if isinstance(parent, list):
                indices = self._indices_of(parent)
                at = indices.index(part) if part in indices else len(parent)
            try:
                value = parent[at]
            except (LookupError, TypeError):
                value = {}
        return parent, at

    def _empty_table(self, key: KeyPath, table: Any) -> None:
        """Empty a table if an error concerns the whole table. If already empty, remove it from its parent."""
        parent, at = self._parent(key)
        try:
            is_empty = parent[at] == {}
        except LookupError:  # the table was dropped together with its parent table
            return
        if is_empty:
            self._remove(key)
        else:
            parent[at] = {}
            self._invalid_tables.append((key, table))
        self._dropped.add(key)

    def _remove(self, key: KeyPath) -> None:
        parent, at = self._parent(key)
        with contextlib.suppress(LookupError):
            del parent[at]
            if isinstance(parent, list):
                del self._indices_of(parent)[at]
            if not parent and isinstance(parent, list):
                self._dropped.add(key[:-1])  # only dropping has emptied this list, so do not report an empty list
        self._dropped.add(key)


def _is_certain(details: Any) -> bool:
    """Whether an error in a text remains, whatever values are filled in for the text's `{variables}`."""
    kind, value = details["type"], details["input"]
    if isinstance(value, str):
        error = details.get("ctx", {}).get("error")
        return kind in _NEVER_TEXT or (isinstance(error, UrlError) and error.is_certain)
    # Variables are filled into texts only. The error of a number thus remains; that of a whole table may
    # disappear.
    return kind not in ("value_error", "assertion_error")


def _is_consequence(line: str, dropped: list[KeyPath]) -> bool:
    """Whether a message about a whole table may be caused only by values that were dropped from the table."""
    line = _HINT.sub("", line)  # cut off `(did you mean …?)`, which never names a dropped key
    keyed = _KEYED.match(line)
    for each in dropped:
        key = error_messages.format_key(each)
        named = f'"{each[-1]}"'
        if named in line and (keyed is None or f"no {_singular(each)} {named}" in line):
            return True
        if keyed is None:
            if len(each) == 1 and re.search(rf"\b{re.escape(str(each[0]))}\b", line):
                return True
        elif f"{keyed[1]}.".startswith(f"{key}."):
            return True
        elif f"{key}.".startswith(f"{keyed[1]}.") and not line[keyed.end() :].startswith("no "):
            return True  # a message such as `no prompt "x"` remains, as the value "x" was not dropped
    return False


def _singular(key: KeyPath) -> str:
    """The word for an entry of a table, such as `menu` for an entry of `menus`; "" at the top level."""
    return str(key[-2]).removesuffix("s") if len(key) > 1 else ""


def _replaced(table: Any, key: KeyPath, value: Any) -> Any:
    """A copy of a table with another value at a key, if the table has such a key."""
    if not key:
        return value
    name, *rest = key
    if isinstance(table, dict):
        return {**table, name: _replaced(table.get(name), tuple(rest), value)}
    if isinstance(table, BaseModel):
        inner = _replaced(getattr(table, str(name), None), tuple(rest), value)
        return table.model_copy(update={str(name): inner})
    return table


def _copy(value: Any) -> Any:
    """A copy of tables and lists, at any depth. All other values in the copy are the same objects."""
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value
