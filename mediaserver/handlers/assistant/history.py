"""The history of a conversation for the chat model: what the caller said, and what the caller heard. No I/O."""

from mediaserver.handlers.common.transcript import Speaker
from mediaserver.speech.llm.chat import Message, ToolCall

# The maximum length of a history in characters: about 3000 tokens, which fit into any model's context.
MAX_CHARACTERS = 12_000
_SPEAKERS = {"user": Speaker.CALLER, "assistant": Speaker.ASSISTANT}  # by the roles of a chat model's messages
INTERRUPTED = "[interrupted by the caller]"


class History:
    """Messages for a chat model: instructions, then turns. Beyond `max_characters`, old turns are dropped."""

    def __init__(self, instructions: str, max_characters: int = MAX_CHARACTERS) -> None:
        self._instructions, self._max_characters = instructions, max_characters
        self._messages: list[Message] = []

    @property
    def messages(self) -> list[Message]:
        """All messages for the chat model. The instructions come first."""
        return [{"role": "system", "content": self._instructions}, *self._messages]

    @property
    def transcript(self) -> list[dict[str, str]]:
        """The words of caller and assistant, for a person to whom the call is transferred."""
        return [
            {"who": _SPEAKERS[message["role"]], "text": message["content"]}
            for message in self._messages
            if message["role"] != "tool" and message["content"]
        ]

    def add_caller(self, words: str) -> None:
        """Add the caller's words."""
        self._add("user", words)

    def add_assistant(self, heard: str) -> None:
        """Add the assistant's words that the caller heard; "" adds nothing."""
        if heard:
            self._add("assistant", heard)

    def add_tool_calls(self, heard: str, calls: list[ToolCall]) -> None:
        """Add the tool calls of an answer. `heard` is what the caller heard of the answer's words.

        The result of each tool call must be added next.
        """
        functions = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        self._messages.append({"role": "assistant", "content": heard or None, "tool_calls": functions})

    def add_tool_result(self, call: ToolCall, result: str) -> None:
        """Add the result of a tool call."""
        self._messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    def _add(self, role: str, text: str) -> None:
        """Add a message, or append it to the last one if the roles are equal: models expect roles to alternate."""
        last = self._messages[-1] if self._messages else {}
        if last.get("role") == role and "tool_calls" not in last:
            last["content"] += f" {text}"
        else:
            self._messages.append({"role": role, "content": text})
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Drop the oldest turns while the history is too long.

        The results of tool calls are dropped with their turn, because they mean nothing without the turn.
        """
        while sum(map(_size, self._messages)) > self._max_characters:
            turns = [at for at, message in enumerate(self._messages) if at and message["role"] == "user"]
            if not turns:
                return
            del self._messages[: turns[0]]


def _size(message: Message) -> int:
    calls = message.get("tool_calls", ())
    return len(message["content"] or "") + sum(len(call["function"]["arguments"]) for call in calls)


def heard_part(text: str, share: float) -> str:
    """The words of a text that the caller heard, with an ellipsis; "" if the caller heard no whole word.

    `share` is the fraction of the text that was played, 0 to 1. A word that was cut off is left out.
    """
    heard, words = share * len(text), []
    length = 0
    for word in text.split():
        length += len(word)
        if length > heard:
            break
        words.append(word)
        length += 1
    return " ".join(words) + "…" if words else ""
