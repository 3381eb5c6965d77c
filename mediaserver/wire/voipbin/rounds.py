"""The rounds of one flow: each brings keys, and asks for what comes next, until the flow has no actions left.

A round is `digits_receive`, which ends at the next key or after some seconds, and `fetch`, whose URL carries all
digits so far. VoIPBIN keeps digits in a variable, and appends to it while we answer, too. Therefore a round does
not clear the variable, which would lose keys, but waits for one digit more than there are.

A `#` begins the fragment of a URL (RFC 3986, section 3.5), which is never sent, and digits stand in the URL as
they are. So a `#` cuts the query off. The key `END` behind the digits shows whether that has happened. After a
`#`, the next round clears the variable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mediaserver.wire.voipbin import actions
from mediaserver.wire.voipbin.actions import Action

ROUND, DIGITS, END = "flow_round", "flow_digits", "flow_end"  # keys in the query of a round's URL
QUERY_KEYS = frozenset({ROUND, DIGITS, END})
CONCLUSION = 4  # actions that are kept back for the answer that ends the flow
_LAST_ROUNDS = 3  # rounds that are left when the flow is said to be nearly exhausted
_LAST_SECONDS = (2.0, 5.0, 20.0)  # of these rounds, which no key ends: the handler plays something, and decides
_NO_KEY = 1000  # as the number of digits to wait for: it is never reached, so that no key ends the wait
_ROUND = 3  # actions of a round at most
_MAX_DIGITS = 40  # digits in the variable, after which it is cleared, because they stand in a URL
_MARGIN = 0.2  # seconds after a handler's time-out in which it decides what is next
_SHORTEST, _LONGEST = 1.0, 60.0  # seconds of one round
_SHARE = 4  # where the handler sets no time, a round lasts a fourth of the time since the caller's last key
_KEYS = frozenset("0123456789ABCD*#")


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """What the rounds of a flow need to know."""

    url: str  # the URL of `fetch`, without the query of a round; a secret is a part of it
    external_host: str  # `host:port` that Asterisk dials for the media
    max_actions: int = 90  # actions that we let VoIPBIN execute in one flow
    poll: float = 2.0  # the shortest round, in seconds, where the handler may decide at any time
    max_poll: float = 20.0  # the longest round, in seconds, where the handler may decide at any time
    executed: int = 0  # actions that VoIPBIN has executed before, where the flow has been with us already


class Rounds:
    """A state machine of one flow: it answers each `fetch` with the actions of the next round.

    It knows which digits VoIPBIN has told us, and how many of the actions that a flow may have are executed.
    """

    def __init__(self, settings: RoundSettings) -> None:
        self._settings = settings
        self.number = 0  # the number that the next fetch has, 0 for the one that begins the flow
        # Actions that VoIPBIN has executed, with the `fetch` that began the flow, as far as we know of them.
        self.executed = settings.executed + 1
        self._known = ""  # the digits in VoIPBIN's variable, as far as they were told
        self._clear = True  # whether the variable must be cleared, as it may have digits that were not told
        self._last_rounds = 0  # rounds since the handler was told that the flow is nearly exhausted
        self.duration = 0.0  # seconds after which the next fetch comes at the latest

    def take_digits(self, digits: str, complete: bool) -> str:
        """The new digits among all `digits` that a fetch has brought. Not `complete`: a # follows them."""
        digits = "".join(filter(_KEYS.__contains__, digits)) if "${" not in digits else ""
        # Outside of `digits_receive`, VoIPBIN does not append a digit, but puts it in place of the others.
        new = digits[len(self._known) :] if digits.startswith(self._known) else digits
        self._known = digits
        self._clear = not complete or len(digits) > _MAX_DIGITS
        return new if complete else f"{new}#"

    def begin(self) -> list[Action]:
        """The answer to the first fetch: answer the call, start the media, and the first round."""
        start = [actions.ANSWER, actions.external_media_start(self._settings.external_host)]
        return self._issue([*start, *self._round(self._settings.poll)])

    def go_on(self, idle: float, patience: float) -> list[Action]:
        """The next round, `idle` seconds after the last key.

        `patience` is the number of seconds for which the handler only waits for a key, and decides nothing. It is
        0 where the handler may decide at any time. A round then lasts a fourth of `idle`. The last rounds last
        longer and longer, and no key ends them.
        """
        if self.nearly_exhausted:
            seconds = _LAST_SECONDS[min(self._last_rounds, _LAST_ROUNDS - 1)]
            self._last_rounds += 1
            return self._issue(self._round(seconds, _NO_KEY))
        poll, max_poll = self._settings.poll, self._settings.max_poll
        seconds = min(max(idle / _SHARE, poll), max_poll)
        if patience:
            seconds = min(max(patience + _MARGIN, _SHORTEST), _LONGEST)
        return self._issue(self._round(seconds))

    def conclude(self, decided: Sequence[Action]) -> list[Action]:
        """The answer that ends the rounds. An answer has at least one action, even if there is nothing to do."""
        self.duration = 0.0
        return self._issue(decided or [actions.CLEAR_DIGITS])

    @property
    def nearly_exhausted(self) -> bool:
        """Whether only the last few rounds are left, in which the handler has to come to an end."""
        return self._settings.max_actions - self.executed < CONCLUSION + (_LAST_ROUNDS + 1) * _ROUND

    @property
    def exhausted(self) -> bool:
        """Whether no further round is left, but only the conclusion."""
        return self._settings.max_actions - self.executed < CONCLUSION + _ROUND

    def _round(self, seconds: float, more: int = 1) -> list[Action]:
        """The actions of a round that ends after `seconds`, or with so many `more` digits."""
        self.duration = seconds
        cleared = [actions.CLEAR_DIGITS] if self._clear else []
        if self._clear:
            self._known, self._clear = "", False
        joint = "&" if "?" in self._settings.url else "?"
        query = f"{ROUND}={self.number + 1}&{DIGITS}=${{{actions.DIGITS}}}&{END}=1"
        return [
            *cleared,
            actions.digits_receive(len(self._known) + more, round(seconds * 1000)),
            actions.fetch(f"{self._settings.url}{joint}{query}"),
        ]

    def _issue(self, answer: Sequence[Action]) -> list[Action]:
        self.number += 1
        self.executed += actions.count_executed(answer)
        return actions.add_ids(answer)
