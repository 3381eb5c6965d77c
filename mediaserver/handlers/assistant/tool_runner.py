"""Runs the tools that the chat model calls. The tools `hang_up` and `transfer` may end the conversation."""

from collections.abc import Awaitable, Callable, Sequence

from mediaserver.call import Call
from mediaserver.errors import CallControlError, PeerError, PromptError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.assistant.history import History
from mediaserver.handlers.assistant.tools import HANG_UP, PLAY, TRANSFER, ToolArguments, Tools, TransferAnswer
from mediaserver.handlers.assistant.turn_taking import TurnTaking
from mediaserver.handlers.assistant.utterance_playback import UtterancePlayback
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.wire.voipbin.destination import Destination


class ConversationEnded(Exception):  # noqa: N818 - no error
    """Raised to end the conversation. `why` is the reason that the event `assistant.hangup` gives."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def conclude(self, call: Call) -> None:
        """Emit the event `assistant.hangup`. Then hang up, unless the call has been transferred."""
        call.notify(EventKind.ASSISTANT_HANGUP, {"why": self.why})
        if self.why != TRANSFER:
            call.hang_up()


class ToolRunner:
    """Runs tool calls, and adds their results to the history. `speak` speaks a text to the caller."""

    def __init__(
        self,
        tools: Tools,
        call: Call,
        turn_taking: TurnTaking,
        history: History,
        speak: Callable[[str], Awaitable[UtterancePlayback]],
    ) -> None:
        self._tools, self._call, self._turn_taking, self._history = tools, call, turn_taking, history
        self._speak = speak

    async def run_tools(self, calls: Sequence[ToolCall]) -> bool:
        """Run tool calls in order; return whether the caller interrupted one. May raise ConversationEnded."""
        interrupted = False
        for tool_call in calls:
            if interrupted:
                result = "not done: the caller interrupted"
            else:
                try:
                    arguments = self._tools.parse_call(tool_call)
                except ValueError as error:
                    result = str(error)
                else:
                    result, interrupted = await self._run_tool(tool_call.name, arguments)
            self._history.add_tool_result(tool_call, result)
        return interrupted

    async def _run_tool(self, name: str, arguments: ToolArguments) -> tuple[str, bool]:
        """Run one tool. Returns the result for the model, and whether the caller interrupted the tool."""
        if name == HANG_UP:
            raise ConversationEnded(HANG_UP)
        if name == PLAY:
            return await self._play(arguments.name)
        return await self.transfer(arguments.reason), False

    async def _play(self, name: str) -> tuple[str, bool]:
        with self._turn_taking.speaking(self._call.clear):
            try:
                heard = await self._call.play(name)
            except PromptError as error:
                return f"failed: {error}", False
        if heard.complete:
            return "the caller heard all of it", False
        return f"the caller interrupted it after {heard.seconds:.0f} seconds", True

    async def transfer(self, reason: str) -> str:
        """Transfer the call, or ask the operator's webhook to transfer it.

        Returns the outcome, as text for the model. Raises ConversationEnded if the call is transferred, or if the
        webhook's answer ends the conversation.
        """
        target = self._tools.transfer
        if isinstance(target, Destination):
            answer = TransferAnswer(transfer=target)
        else:
            try:
                answer = await self._ask_webhook(target or "", reason)
            except (PeerError, ValueError) as error:
                return self._fail(str(error) if isinstance(error, PeerError) else "the answer is not understood")
        if (destination := answer.leads_to) is not None:
            try:
                self._call.lead_to(destination)
            except CallControlError as error:
                return self._fail(str(error))
        self._call.notify(EventKind.ASSISTANT_TRANSFER, {"reason": reason, "hangup": answer.hangup})
        heard = (await self._speak(answer.say)).heard if answer.say else ""
        if answer.hangup or destination is not None:
            raise ConversationEnded(TRANSFER)
        return f"not transferred; the caller heard: {heard}" if heard else "not transferred"

    def _fail(self, why: str) -> str:
        """Report that the call cannot be transferred. Returns a text that tells the model."""
        self._call.notify(EventKind.ASSISTANT_FAILED, {"stage": "transfer", "why": why})
        return "failed: nobody can be reached"

    async def _ask_webhook(self, url: str, reason: str) -> TransferAnswer:
        """Ask the operator's webhook. PeerError if it does not answer, ValueError if its answer is not valid."""
        stream = self._call.stream
        body = {
            "event": "transfer",
            "reason": reason,
            "transcript": self._history.transcript,
            "stream": stream.id,
            "path": stream.path,
            "resource": stream.event_resource,
            "variables": dict(stream.variables),
        }
        return TransferAnswer.model_validate(await self._call.ask(url, body))
