"""All that is wrong with a table of settings, at once.

Pydantic stops where a value is wrong, and looks at a table as a whole only where all of its values are right. So
what is wrong is told and left out, and the rest is looked at again, until nothing is wrong with it any more.
"""

import contextlib
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from mediaserver.config import mistakes
from mediaserver.config.fields import UrlError
from mediaserver.config.mistakes import MISSING, UNKNOWN, Mistake, Place
from mediaserver.errors import did_you_mean

# A line about a table as a whole that begins with the key that it is about.
_PLACED = re.compile(r'((?:[\w.*#-]|"[^"]*")+): ')
_HINT = re.compile(r" \(did you mean .*\?\)")
# Errors of a text that is there in place of something else: none of these becomes right by what is in the text.
_NO_TEXT = {UNKNOWN, "dict_type", "list_type", "tuple_type", "model_type", "model_attributes_type"}
_PASSES = 50  # each leaves something out

M = TypeVar("M", bound=BaseModel)
# ` (did you mean …?)` for a setting that there is not, or "": given what its own table has of almost that name.
Hint = Callable[[Place, str], str]
MayBe = Callable[[Place, str], bool]  # whether what is wrong at a place, in words, is wrong yet


class Examined(NamedTuple):
    """What there is of a table without its mistakes; None where that is too little.

    One that is not `complete` has None for what must be there and is not.
    """

    table: Any
    mistakes: list[Mistake]
    complete: bool = True


def examine(
    model: type[M],
    values: dict[str, Any],
    hint: Hint = lambda place, near: near,
    settles_later: MayBe = lambda place, text: False,
) -> Examined:
    """A table made of values of a file, and all mistakes in them, but for those that only follow from others.

    A mistake that `settles_later` is left out, and not told.
    """
    draft = _Draft(model, values, hint, settles_later)
    for _ in range(_PASSES):
        made: dict[int, tuple[Any, Any]] = {}
        try:
            return draft.end(draft.model.model_validate(draft.values, context=made))
        except ValidationError as error:
            if (end := draft.leave_out(error, made)) is not None:
                return end
        except (AttributeError, TypeError):  # a table as a whole is looked at without what it must have
            if draft.is_complete:
                raise
            return draft.end(made.get(id(draft.values), (None, None))[1])
    return Examined(None, draft.mistakes, complete=False)


class _Draft:
    """Values from which what is wrong is left out."""

    def __init__(self, model: type[BaseModel], values: dict[str, Any], hint: Hint, settles_later: MayBe) -> None:
        self.values: Any = _copied(values)
        self.mistakes: list[Mistake] = []
        self.model, self._hint, self._settles_later = model, hint, settles_later
        self.is_complete = True
        self._gone: set[Place] = set()  # left out, or given under another name
        self._numbers: dict[int, list[int]] = {}  # of lists' entries that are left, as the file has them, by id
        self._wholes: list[
            tuple[Place, Any]
        ] = []  # tables that are wrong as a whole, each left empty in its place

    def end(self, table: Any) -> Examined:
        """What there is, with the tables that are wrong as a whole: what they name is looked at, too."""
        for place, whole in reversed(self._wholes):
            table = _with(table, place, whole)
        return Examined(table, self.mistakes, self.is_complete)

    def leave_out(self, error: ValidationError, made: dict[int, tuple[Any, Any]]) -> Examined | None:
        """Tell of an error, and leave out what it is about; the end, where that is to be."""
        going: list[Place] = []
        errors = error.errors(include_url=False)
        for details in errors:
            if details["type"] == UNKNOWN:
                self._know_as_meant(self._place(details))
        unsettled = {self._place(details) for details in errors if not _is_certain(details)}
        for details in errors:
            place = self._place(details)
            _, table = made.get(id(details["input"]), (None, None))
            if table is not None and details["type"] in ("value_error", "assertion_error"):
                self._tell_whole(details, place)
                if not place:
                    return self.end(table)
                self._empty(place, table)
            elif place not in going:  # or it is another alternative of a union
                self._tell(details, place, may_settle=place in unsettled)
                going.append(place if details["type"] != MISSING else place[:-1])
        if () in going and not self._do_without(errors):
            return Examined(None, self.mistakes, complete=False)
        for place in filter(None, going):
            self._remove(place)
        return None

    def _do_without(self, errors: Iterable[Any]) -> bool:
        """Look at the rest without what the table itself must have, and does not; whether that is all it lacks."""
        absent = [str(each["loc"][0]) for each in errors if each["type"] == MISSING and len(each["loc"]) == 1]
        fields: dict[str, Any] = {name: (Any, None) for name in absent if name in self.model.model_fields}
        self.model, self.is_complete = create_model(self.model.__name__, __base__=self.model, **fields), False
        return bool(fields)

    def _tell(self, details: Any, place: Place, *, may_settle: bool) -> None:
        hint = ""
        if details["type"] == UNKNOWN:
            hint = self._hint(place, self._near(place))
        found = mistakes.mistakes(details, place, self.model, hint)
        follows = place in self._gone or (details["type"] == MISSING and place[:-1] in self._gone)
        if not follows and not any(each[: len(place)] == place for each in self._gone):
            self.mistakes += [each for each in found if not (may_settle and self._settles_later(place, each.text))]
            if details["type"] == MISSING:
                self.mistakes += self._meant_by(place)
        self._gone.add(place)

    def _meant_by(self, missing: Place) -> list[Mistake]:
        """Keys that look like a missing one, where a table takes any key."""
        *above, key = missing
        table, known = self._above(missing)[0], mistakes.known(missing, self.model)
        return [
            Mistake((*above, name), f"unknown setting{hint}")
            for name in (table if isinstance(table, dict) else ())
            if name not in known and (hint := did_you_mean(name, [str(key)]))
        ]

    def _know_as_meant(self, place: Place) -> None:
        """A setting that is given under a misspelt name is not missing."""
        if near := self._near(place):
            meant = near.split('"')[1]
            if meant not in self._above(place)[0]:
                self._gone.add((*place[:-1], meant))

    def _near(self, place: Place) -> str:
        return did_you_mean(str(place[-1]), mistakes.known(place, self.model))

    def _tell_whole(self, details: Any, place: Place) -> None:
        """What is wrong with a table as a whole, but for what follows from what was left out of it."""
        gone = [each[len(place) :] for each in self._gone if each[: len(place)] == place != each]
        self.mistakes += [
            each
            for each in mistakes.mistakes(details, place, self.model)
            if not _follows(each.text, gone) and not self._settles_later(place, each.text)
        ]

    def _place(self, details: Any) -> Place:
        """Where an error stands in the values, as the file has them."""
        place, value = [], self.values
        for part in details["loc"]:
            if isinstance(value, dict) and part in value:
                place.append(part)
                value = value[part]
            elif isinstance(value, list) and isinstance(part, int):
                place.append(self._numbers_of(value)[part])
                value = value[part]
        if details["type"] == MISSING:
            place.append(details["loc"][-1])
        return tuple(place)

    def _numbers_of(self, entries: list[Any]) -> list[int]:
        return self._numbers.setdefault(id(entries), list(range(len(entries))))

    def _above(self, place: Place) -> tuple[Any, Any]:
        """What a place is in, and its key there; an empty table where that has gone itself."""
        above, key, value = {}, None, self.values
        for part in place:
            above, key = value, part
            if isinstance(above, list):
                numbers = self._numbers_of(above)
                key = numbers.index(part) if part in numbers else len(above)
            try:
                value = above[key]
            except (LookupError, TypeError):
                value = {}
        return above, key

    def _empty(self, place: Place, table: Any) -> None:
        above, key = self._above(place)
        try:
            is_empty = above[key] == {}
        except LookupError:  # it has gone with what it is in
            return
        if is_empty:
            self._remove(place)
        else:
            above[key] = {}
            self._wholes.append((place, table))
        self._gone.add(place)

    def _remove(self, place: Place) -> None:
        above, key = self._above(place)
        with contextlib.suppress(LookupError):
            del above[key]
            if isinstance(above, list):
                del self._numbers_of(above)[key]
            if not above and isinstance(above, list):
                self._gone.add(place[:-1])  # what a list lacks then, only follows
        self._gone.add(place)


def _is_certain(details: Any) -> bool:
    """Whether an error stays whatever is filled in for the `{variables}` of the texts that it is about."""
    kind, value = details["type"], details["input"]
    if isinstance(value, str):
        error = details.get("ctx", {}).get("error")
        return kind in _NO_TEXT or (isinstance(error, UrlError) and error.is_certain)
    return kind not in ("value_error", "assertion_error")  # no list, and no table, is anything else


def _follows(line: str, gone: list[Place]) -> bool:
    """Whether a line about a table may be there only since something of it was left out."""
    line = _HINT.sub("", line)  # it names what is there
    placed = _PLACED.match(line)
    for place in gone:
        key = mistakes.key_of(place)
        named = f'"{place[-1]}"'
        if named in line and (placed is None or f"no {_kind_of(place)} {named}" in line):
            return True
        if placed is None:
            if len(place) == 1 and re.search(rf"\b{re.escape(str(place[0]))}\b", line):
                return True
        elif f"{placed[1]}.".startswith(f"{key}."):
            return True
        elif f"{key}.".startswith(f"{placed[1]}.") and not line[placed.end() :].startswith("no "):
            return True  # what there is no such thing of, is named by what is left
    return False


def _kind_of(place: Place) -> str:
    """What an entry of a table is called: a `menu` of `menus`."""
    return str(place[-2]).removesuffix("s") if len(place) > 1 else ""


def _with(table: Any, place: Place, part: Any) -> Any:
    """A table with another part at a place, as far as it has such a place."""
    if not place:
        return part
    key, *rest = place
    if isinstance(table, dict):
        return {**table, key: _with(table.get(key), tuple(rest), part)}
    if isinstance(table, BaseModel):
        return table.model_copy(update={str(key): _with(getattr(table, str(key), None), tuple(rest), part)})
    return table


def _copied(value: Any) -> Any:
    """A copy of tables and lists; what stands in them is the same."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value
