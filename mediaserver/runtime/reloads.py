"""Keeps the results of the latest reloads of the configuration, with the mistakes for which they were refused."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from mediaserver.support.timestamps import utc_timestamp

_MOST = 10  # the number of latest reloads that are kept


class Reload(NamedTuple):
    """One reload. The configuration is in force unless it has mistakes."""

    time: str  # UTC in ISO 8601
    mistakes: Sequence[str]  # one line for each, as the log has it


class Reloads:
    """The latest reloads since the server was started."""

    def __init__(self) -> None:
        self.latest: deque[Reload] = deque(maxlen=_MOST)

    @property
    def current(self) -> bool:
        """Whether the configuration in the files is in force; False if it was refused because of mistakes."""
        return not self.latest or not self.latest[-1].mistakes

    def add(self, mistakes: Sequence[str] = ()) -> None:
        """Note a reload that has succeeded, or was refused because of mistakes."""
        moment = utc_timestamp()
        self.latest.append(Reload(moment, tuple(mistakes)))
