"""The caller's input in a request to a menu's webhook, and the answer that the webhook may give."""

from typing import Any

from pydantic import BaseModel, Field, ValidationError

from mediaserver.config import error_messages
from mediaserver.handlers.menu.plan import Step


class WebhookAnswer(Step):
    """The JSON answer of a webhook: the next step, and variables for later steps."""

    variables: dict[str, Any] = Field(default_factory=dict)


class WebhookFacts(BaseModel):
    """What the caller did since the last webhook request. The next request reports it."""

    event: str = "entered"
    digits: str = ""
    recording: dict[str, Any] | None = None


def is_sayable(value: Any) -> bool:
    """Whether the value that a webhook has given to a variable can be spoken."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def explain(error: Exception) -> str:
    """One line that says why a webhook's answer is missing or cannot be used. `error` is the cause."""
    if isinstance(error, ValidationError):
        return f"the answer is not understood: {error_messages.summarize_error(error)}"
    return str(error)
