"""The tools that the chat model may call: hang up, transfer the call, play a prompt."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from mediaserver.config import error_messages
from mediaserver.config.fields import Table
from mediaserver.config.flow_settings import DestinationText, FlowActions, TransferTarget
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.destination import Destination

HANG_UP, TRANSFER, PLAY = "hang_up", "transfer", "play_prompt"


class Tools(Table):
    """The tools that the chat model may call."""

    hang_up: bool = Field(False, description="Whether the model may end the call.")
    transfer: TransferTarget | None = Field(
        None,
        description="Where callers are transferred to, or the URL of the webhook that is asked to transfer them.",
    )
    play: tuple[str, ...] = Field((), description="The prompts that the model may play.")

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The definitions of the enabled tools, in the format of OpenAI's chat completions."""
        tools = []
        if self.hang_up:
            tools.append(_tool(HANG_UP, "End the call, once the caller has said goodbye. Say goodbye first."))
        if self.transfer is not None:
            reason = {"reason": {"type": "string", "description": "what the caller wants, in a sentence"}}
            tools.append(_tool(TRANSFER, "Hand the caller over to a person. Say so first.", reason))
        if self.play:
            name = {"name": {"type": "string", "enum": list(self.play)}}
            tools.append(_tool(PLAY, "Play a recording to the caller.", name))
        return tools

    def parse_call(self, call: ToolCall) -> "ToolArguments":
        """The arguments of a tool call; ValueError, with a text for the model, if the call is not valid."""
        names = [tool["function"]["name"] for tool in self.definitions]
        if call.name not in names:
            raise ValueError(f"there is no tool {call.name[:50]}, only {', '.join(names) or 'none'}")
        try:
            arguments = ToolArguments.model_validate_json(call.arguments or "{}")
        except ValidationError as error:
            raise ValueError(
                f"the arguments are not understood: {error_messages.summarize_error(error)}"
            ) from None
        if call.name == PLAY and arguments.name not in self.play:
            raise ValueError(f"name is none of {', '.join(self.play)}")
        return arguments


class ToolArguments(BaseModel):
    """The arguments of a tool call: `reason` for `transfer`, `name` for `play_prompt`, none for `hang_up`."""

    reason: str = Field("", max_length=2000)
    name: str = ""


class TransferAnswer(BaseModel):
    """The webhook's answer to a request to transfer the call. `say` is a text that is spoken to the caller.

    With `transfer` or `actions`, the call continues in VoIPBIN's flow. Without them, the webhook itself transfers
    the call.
    """

    say: str = Field("", max_length=1000)
    hangup: bool = True  # whether the conversation ends after the webhook's answer, even without a transfer
    transfer: DestinationText | None = None
    actions: FlowActions | None = None

    @property
    def leads_to(self) -> Destination | Sequence[Action] | None:
        """The destination or actions that VoIPBIN's flow continues with; None if the answer names neither."""
        return self.transfer or self.actions


def _tool(name: str, description: str, properties: dict[str, Any] | None = None) -> dict[str, Any]:
    kind: Literal["object"] = "object"
    parameters = {"type": kind, "properties": properties or {}, "required": list(properties or {})}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}
