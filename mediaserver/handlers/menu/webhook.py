"""What a menu's webhook is asked, and what it may answer."""

from typing import Any

from pydantic import BaseModel, Field, ValidationError

from mediaserver.config import error_messages
from mediaserver.handlers.menu.plan import Step


class WebhookAnswer(Step):
    """The JSON answer of a webhook: the next step, and variables for later steps."""

    variables: dict[str, Any] = Field(default_factory=dict)


class WebhookFacts(BaseModel):
    """What the caller did since the last webhook. The next webhook gets it, besides facts of the stream."""

    event: str = "entered"
    digits: str = ""
    recording: dict[str, Any] | None = None


def is_sayable(value: Any) -> bool:
    """Whether a variable that a webhook has set can be spoken."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def explain(error: Exception) -> str:
    """Why a webhook has no answer that can be used, in one line."""
    if isinstance(error, ValidationError):
        return f"the answer is not understood: {error_messages.summarize_error(error)}"
    return str(error)
