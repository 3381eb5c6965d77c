"""The rounds of one VoIPBIN flow. In each round, VoIPBIN reports the caller's DTMF keys and gets its next actions.

A round is two actions of the flow: `digits_receive`, which ends at the caller's next key or after some seconds,
and `fetch`, which requests the next actions from the server. The URL of `fetch` carries all keys so far as digits.
VoIPBIN keeps the digits in a variable, and appends to it even while the server answers. Clearing the variable in
each round would therefore lose keys. Instead, a round waits until there is one digit more than VoIPBIN reported.

VoIPBIN puts the digits into the URL without escaping them. A `#` begins the fragment of a URL (RFC 3986, section
3.5), which is never sent. So a `#` among the digits cuts the query off, and the parameter `END`, which follows the
digits, is missing. After a `#`, the next round clears the variable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mediaserver.wire.voipbin import actions
from mediaserver.wire.voipbin.actions import Action

ROUND, DIGITS, END = "flow_round", "flow_digits", "flow_end"  # parameters in the query of a `fetch`
QUERY_KEYS = frozenset({ROUND, DIGITS, END})
CONCLUSION = 4  # number of actions, of the most that a flow may have, reserved for the answer that ends the flow
_BEGIN = 5  # number of actions in the answer to a flow's first `fetch`
_LAST_ROUNDS = 3  # how many more requests a flow may make after it has nearly reached its limit of actions
# Seconds of waiting before each of a flow's last requests. No DTMF key ends these waits early, because the handler
# must conclude the flow in this time.
_LAST_SECONDS = (2.0, 5.0, 20.0)
_NO_KEY = 1000  # a number of digits to wait for that is never reached, so that no key ends the wait
_ROUND = 3  # the most actions in one answer to a `fetch`, unless the answer ends the flow
_MAX_DIGITS = 40  # number of digits at which VoIPBIN's variable is cleared, because a URL has to hold all of them
_MARGIN = 0.2  # seconds that a handler has, after its time-out for a key, to decide what comes next
# The least and the most seconds of a wait for a key while the handler has a time-out.
_SHORTEST, _LONGEST = 1.0, 60.0
_SHARE = 4  # if the handler has no time-out, a wait for a key lasts one fourth of the time since the last key
_KEYS = frozenset("0123456789ABCD*#")


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """The settings of one flow: the URL of its requests for actions, their intervals, and the limit of actions."""

    url: str  # the URL of `fetch`, which has a secret in it; without the query that each `fetch` adds
    external_host: str  # `host:port` that Asterisk dials for the media
    max_actions: int = 90  # the most actions that the server gives VoIPBIN in one flow
    # The shortest wait for a key, in seconds, while the handler may conclude the flow at any time.
    poll: float = 2.0
    # The longest wait for a key, in seconds, while the handler may conclude the flow at any time.
    max_poll: float = 20.0
    executed: int = 0  # number of actions that VoIPBIN executed for earlier requests of the same flow


class Rounds:
    """A state machine of one flow: it answers each `fetch` with a wait for the next key and a further `fetch`.

    It keeps the digits that VoIPBIN has reported, and counts the executed actions, which VoIPBIN limits.
    """

    def __init__(self, settings: RoundSettings) -> None:
        self._settings = settings
        self.number = 0  # the number of the next `fetch`; 0 for the `fetch` that begins the flow
        # Number of actions that VoIPBIN has executed, as far as is known. It includes the `fetch` that began the
        # flow.
        self.executed = settings.executed + 1
        self._known = ""  # the digits in VoIPBIN's variable that VoIPBIN has reported
        # Whether the next answer must clear VoIPBIN's variable of digits, because it may hold digits that were not
        # reported, or too many digits.
        self._clear = True
        self._last_rounds = 0  # number of answers given since the flow nearly reached its limit of actions
        self.duration = 0.0  # seconds within which the next `fetch` comes

    def take_digits(self, digits: str, complete: bool) -> str:
        """Return the new digits among all `digits` that a `fetch` has reported.

        If the digits are not `complete`, because a `#` among them cut off the URL's query, the new digits end with
        `#`.
        """
        digits = "".join(filter(_KEYS.__contains__, digits)) if "${" not in digits else ""
        # A digit that comes while VoIPBIN executes no `digits_receive` replaces all digits in the variable.
        new = digits[len(self._known) :] if digits.startswith(self._known) else digits
        self._known = digits
        self._clear = not complete or len(digits) > _MAX_DIGITS
        return new if complete else f"{new}#"

    def begin(self) -> list[Action]:
        """The answer to the first `fetch`: it answers the call, starts its media, and waits for the first key."""
        start = [actions.ANSWER, actions.external_media_start(self._settings.external_host)]
        return self._issue([*start, *self._round(self._settings.poll)])

    def go_on(self, idle: float, patience: float) -> list[Action]:
        """The answer to a further `fetch`: it waits for the next key. The last key came `idle` seconds ago.

        `patience` is the number of seconds for which the handler does nothing but wait for a key: the wait lasts a
        little longer. If `patience` is 0, the handler may conclude the flow at any time, so the wait lasts one
        fourth of `idle`, within the settings' limits. Once the flow has nearly reached its limit of actions, each
        further wait lasts longer, and no key ends it.
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
        """The answer that ends the flow's requests with the `decided` actions.

        If there are none, the answer has one action without effect, because VoIPBIN needs at least one.
        """
        self.duration = 0.0
        return self._issue(decided or [actions.CLEAR_DIGITS])

    @property
    def can_begin(self) -> bool:
        """Whether the limit of actions leaves enough to begin the media, and for an answer that ends the flow."""
        return self._settings.max_actions - self.executed >= _BEGIN + CONCLUSION

    @property
    def nearly_exhausted(self) -> bool:
        """Whether the limit of actions leaves only a few answers: the handler must conclude the flow soon."""
        return self._settings.max_actions - self.executed < CONCLUSION + (_LAST_ROUNDS + 1) * _ROUND

    @property
    def exhausted(self) -> bool:
        """Whether the limit of actions leaves only one answer, which has to end the flow."""
        return self._settings.max_actions - self.executed < CONCLUSION + _ROUND

    def _round(self, seconds: float, more: int = 1) -> list[Action]:
        """Actions that wait for `more` further digits, for `seconds` at most, and `fetch` the next actions."""
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
