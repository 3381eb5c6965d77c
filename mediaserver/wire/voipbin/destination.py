"""Where a call may be transferred to: a number, a SIP address, an extension, an agent, a queue or a conference."""

import re
from dataclasses import dataclass

from mediaserver.wire.voipbin.actions import Action, make_action

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# For each kind of destination, the form of its target and an example. A number has the form of ITU-T E.164.
_KINDS = {
    "tel": (r"\+[1-9][0-9]{2,14}", "tel:+4930123456"),
    "sip": (r"[\w.!~*'()&=+$,;?/%-]+@[\w.:\[\]-]+", "sip:sales@example.com"),
    "extension": (r"[\w.-]{1,64}", "extension:100"),
    "agent": (_UUID, "agent:<id>"),
    "queue": (_UUID, "queue:<id>"),
    "conference": (_UUID, "conference:<id>"),
}
_JOINS = {"queue": ("queue_join", "queue_id"), "conference": ("conference_join", "conference_id")}
_SEPARATORS = re.compile(r"[ ()./-]")  # characters that people write between the digits of a phone number


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of a transfer, such as the number `tel:+4930123456`."""

    kind: str  # the kind of destination: tel, sip, extension, agent, queue or conference
    target: str  # the number, address, name or id of the destination

    @classmethod
    def parse(cls, text: str) -> "Destination":
        """The destination that a text names; a text that begins with + is a phone number.

        ValueError if the text names no destination.
        """
        kind, colon, target = ("tel", ":", text) if text.startswith("+") else text.partition(":")
        if kind == "tel":
            target = _SEPARATORS.sub("", target)
        elif kind in ("agent", "queue", "conference"):
            target = target.lower()
        if not colon or kind not in _KINDS:
            raise ValueError(f"should be a destination: {', '.join(example for _, example in _KINDS.values())}")
        pattern, example = _KINDS[kind]
        if not re.fullmatch(pattern, target, re.ASCII):
            what = (
                "a UUID" if pattern is _UUID else "a number with its country code" if kind == "tel" else "a name"
            )
            raise ValueError(f"{kind}: should be followed by {what}, such as {example}")
        return cls(kind, target)

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}"

    def actions(self, source: str = "") -> tuple[Action, ...]:
        """The VoIPBIN actions that transfer a call to this destination.

        `source`, if given, is the number that the called party sees.
        """
        if self.kind in _JOINS:
            action, key = _JOINS[self.kind]
            return (make_action(action, **{key: self.target}),)
        shown = {"source": {"type": "tel", "target": source}} if source else {}
        return (make_action("connect", **shown, destinations=[{"type": self.kind, "target": self.target}]),)
