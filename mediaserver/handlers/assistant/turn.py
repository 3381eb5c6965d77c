"""One turn of a conversation: what the caller said, what the assistant answered, and the latency of each step."""

from dataclasses import dataclass, field
from typing import Any

# The steps of an answer, in order: transcript (STT), first token and first sentence (LLM), first audio (TTS).
STEPS = ("words", "first_delta", "first_sentence", "first_audio")


@dataclass
class Turn:
    """A turn of the caller, and the assistant's answer. All times are seconds of the call's clock."""

    caller: str  # the words that the caller spoke, or the keys that the caller pressed
    spoke_from: float
    spoke_until: float  # the time at which the caller's voice was last received
    assistant: list[str] = field(default_factory=list)  # the assistant's answers, as far as the caller heard them
    intended: list[str] = field(default_factory=list)  # the assistant's answers in full
    interrupted: bool = False
    failed: bool = False
    # The time at which each step of the answer was first reached.
    step_times: dict[str, float] = field(default_factory=dict)
    ended: float = 0.0  # the time at which the answer's playback ended or was interrupted

    def mark_step(self, step: str, now: float) -> None:
        """Note that `step` is reached at `now`; only the first time of a step counts."""
        self.step_times.setdefault(step, now)

    @property
    def latencies(self) -> dict[str, int]:
        """Milliseconds from the end of the caller's voice to each step that was reached."""
        return {
            f"{step}_ms": round((self.step_times[step] - self.spoke_until) * 1000)
            for step in STEPS
            if step in self.step_times
        }

    def caller_line(self, began: float) -> dict[str, Any]:
        """The caller's words and their times, for a line of a transcript that began at `began`."""
        return {
            "text": self.caller,
            "start_s": since(began, self.spoke_from),
            "end_s": since(began, self.spoke_until),
        }

    def assistant_line(self, began: float) -> dict[str, Any]:
        """The answer, its times and its latencies, for a line of a transcript that began at `began`."""
        return {
            "text": _joined(self.intended),
            "heard": _joined(self.assistant),
            "interrupted": self.interrupted,
            "start_s": since(began, self.step_times.get("first_audio", self.ended)),
            "end_s": since(began, self.ended),
            **self.latencies,
        }

    @property
    def event_data(self) -> dict[str, Any]:
        """The data of the event `assistant.turn`."""
        return {
            "caller": self.caller,
            "assistant": _joined(self.assistant),
            "interrupted": self.interrupted,
            **self.latencies,
        }


def _joined(texts: list[str]) -> str:
    return " ".join(filter(None, texts))


def since(began: float, moment: float) -> float:
    """The seconds from `began` to `moment`, as lines of transcripts have them."""
    return round(moment - began, 2)
