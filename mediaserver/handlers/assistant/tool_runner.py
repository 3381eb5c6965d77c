"""What a model has done for it besides talking, and how a conversation ends."""

from collections.abc import Awaitable, Callable, Sequence

from mediaserver.call import Call
from mediaserver.errors import PeerError, PromptError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.assistant.history import History
from mediaserver.handlers.assistant.tools import HANG_UP, PLAY, TRANSFER, Tools, TransferAnswer, Wanted
from mediaserver.handlers.assistant.turn_taking import Floor
from mediaserver.handlers.assistant.utterance_playback import Saying
from mediaserver.speech.llm.chat import ToolCall


class Over(Exception):  # noqa: N818 - no error
    """The conversation is over; `why` in a word."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def conclude(self, call: Call) -> None:
        """Tell of it; the call is hung up as well, unless somebody else has taken it."""
        call.notify(EventKind.ASSISTANT_HANGUP, {"why": self.why})
        if self.why != TRANSFER:
            call.hang_up()


class Errands:
    """Uses tools. `speak` has a text heard."""

    def __init__(
        self,
        tools: Tools,
        call: Call,
        floor: Floor,
        history: History,
        speak: Callable[[str], Awaitable[Saying]],
    ) -> None:
        self._tools, self._call, self._floor, self._history = tools, call, floor, history
        self._speak = speak

    async def run(self, calls: Sequence[ToolCall]) -> bool:
        """Use tools, and tell the model what came of it; whether the caller has interrupted. Over may end it."""
        interrupted = False
        for tool_call in calls:
            if interrupted:
                result = "not done: the caller interrupted"
            else:
                try:
                    wanted = self._tools.understand(tool_call)
                except ValueError as error:
                    result = str(error)
                else:
                    result, interrupted = await self._use(tool_call.name, wanted)
            self._history.result(tool_call, result)
        return interrupted

    async def _use(self, name: str, wanted: Wanted) -> tuple[str, bool]:
        """What came of it, and whether the caller interrupted it."""
        if name == HANG_UP:
            raise Over(HANG_UP)
        if name == PLAY:
            return await self._play(wanted.name)
        return await self.transfer(wanted.reason), False

    async def _play(self, name: str) -> tuple[str, bool]:
        with self._floor.held(self._call.clear):
            try:
                heard = await self._call.play(name)
            except PromptError as error:
                return f"failed: {error}", False
        if heard.complete:
            return "the caller heard all of it", False
        return f"the caller interrupted it after {heard.seconds:.0f} seconds", True

    async def transfer(self, reason: str) -> str:
        """Ask the operator's webhook to transfer the call; why there is no transfer, if there is none."""
        stream = self._call.stream
        body = {
            "event": "transfer",
            "reason": reason,
            "transcript": self._history.spoken,
            "stream": stream.id,
            "path": stream.path,
            "resource": stream.event_resource,
            "variables": dict(stream.variables),
        }
        try:
            answer = TransferAnswer.model_validate(await self._call.ask(self._tools.transfer or "", body))
        except (PeerError, ValueError) as error:
            why = str(error) if isinstance(error, PeerError) else "the answer is not understood"
            self._call.notify(EventKind.ASSISTANT_FAILED, {"stage": "transfer", "why": why})
            return "failed: nobody can be reached"
        self._call.notify(EventKind.ASSISTANT_TRANSFER, {"reason": reason, "hangup": answer.hangup})
        heard = (await self._speak(answer.say)).heard if answer.say else ""
        if answer.hangup:
            raise Over(TRANSFER)
        return f"not transferred; the caller heard: {heard}" if heard else "not transferred"
