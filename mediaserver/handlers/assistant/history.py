"""What a model is told of a conversation: what was said and heard on both sides, and no more. No I/O."""

from mediaserver.speech.llm.chat import Message, ToolCall

MOST = 12_000  # characters, tools included: some 3000 tokens, which every model takes
INTERRUPTED = "[interrupted by the caller]"


class History:
    """Messages for a chat model. The oldest are forgotten beyond `most` characters; the instructions never are."""

    def __init__(self, instructions: str, most: int = MOST) -> None:
        self._instructions, self._most = instructions, most
        self._messages: list[Message] = []

    @property
    def messages(self) -> list[Message]:
        """All of them, the instructions first."""
        return [{"role": "system", "content": self._instructions}, *self._messages]

    @property
    def spoken(self) -> list[dict[str, str]]:
        """What was said, by whom."""
        return [
            {"who": "caller" if message["role"] == "user" else "assistant", "text": message["content"]}
            for message in self._messages
            if message["role"] != "tool" and message["content"]
        ]

    def caller(self, words: str) -> None:
        """The caller said something."""
        self._add("user", words)

    def assistant(self, heard: str) -> None:
        """The caller heard something."""
        if heard:
            self._add("assistant", heard)

    def called(self, heard: str, calls: list[ToolCall]) -> None:
        """The model wanted tools used, after what the caller heard. A result is to follow for each."""
        wanted = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        self._messages.append({"role": "assistant", "content": heard or None, "tool_calls": wanted})

    def result(self, call: ToolCall, result: str) -> None:
        """What came of a tool's use."""
        self._messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    def _add(self, role: str, text: str) -> None:
        """What one side says in two goes is one message: models take turns."""
        last = self._messages[-1] if self._messages else {}
        if last.get("role") == role and "tool_calls" not in last:
            last["content"] += f" {text}"
        else:
            self._messages.append({"role": role, "content": text})
        self._forget()

    def _forget(self) -> None:
        """Let the oldest turns go, each with its tools' results, which mean nothing without it."""
        while sum(map(_size, self._messages)) > self._most:
            turns = [at for at, message in enumerate(self._messages) if at and message["role"] == "user"]
            if not turns:
                return
            del self._messages[: turns[0]]


def _size(message: Message) -> int:
    calls = message.get("tool_calls", ())
    return len(message["content"] or "") + sum(len(call["function"]["arguments"]) for call in calls)


def begun(text: str, share: float) -> str:
    """The whole words of a text of which only a share was heard, "" where that is none."""
    heard, words = share * len(text), []
    length = 0
    for word in text.split():
        length += len(word)
        if length > heard:
            break
        words.append(word)
        length += 1
    return " ".join(words) + "…" if words else ""
