"""One turn of a conversation: what the caller said, what was answered, and how long each step took."""

from dataclasses import dataclass, field
from typing import Any

STEPS = ("words", "first_delta", "first_sentence", "first_audio")


@dataclass
class Turn:
    """Times are the loop's, in seconds; `spoke_until` is the last that was heard of the caller's voice."""

    caller: str
    spoke_from: float
    spoke_until: float
    assistant: list[str] = field(default_factory=list)  # heard
    intended: list[str] = field(default_factory=list)  # to be heard
    interrupted: bool = False
    failed: bool = False
    moments: dict[str, float] = field(default_factory=dict)  # the first time of each step
    ended: float = 0.0  # when all of it had been heard, or the caller interrupted

    def reached(self, step: str, now: float) -> None:
        """A step is reached; the first time counts."""
        self.moments.setdefault(step, now)

    @property
    def latencies(self) -> dict[str, int]:
        """Milliseconds from the caller's last voice to each step that was reached."""
        return {
            f"{step}_ms": round((self.moments[step] - self.spoke_until) * 1000)
            for step in STEPS
            if step in self.moments
        }

    def said(self, began: float) -> dict[str, Any]:
        """The caller's line of a transcript that began then."""
        return {
            "text": self.caller,
            "start_s": _since(began, self.spoke_from),
            "end_s": _since(began, self.spoke_until),
        }

    def answered(self, began: float) -> dict[str, Any]:
        """The assistant's."""
        return {
            "text": _joined(self.intended),
            "heard": _joined(self.assistant),
            "interrupted": self.interrupted,
            "start_s": _since(began, self.moments.get("first_audio", self.ended)),
            "end_s": _since(began, self.ended),
            **self.latencies,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """As the operator's systems are told."""
        return {
            "caller": self.caller,
            "assistant": _joined(self.assistant),
            "interrupted": self.interrupted,
            **self.latencies,
        }


def _joined(texts: list[str]) -> str:
    return " ".join(filter(None, texts))


def _since(began: float, moment: float) -> float:
    return round(moment - began, 2)
