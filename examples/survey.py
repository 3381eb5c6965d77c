"""A survey: a handler that asks a question, records a comment, and reports both to a backend.

Put this file into the working directory, or onto PYTHONPATH, and name it in the configuration:

[paths."/survey"]
handler = "survey:Survey"
question = "survey/question"
webhook = "https://backend.example.com/surveys"

A call is then surveyed by `mediaserver attach call ID --path /survey`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mediaserver.handlers import Call, Handler, PeerError, PromptError, silence


class Survey(Handler):
    """Asks one question, to be answered by a digit from 1 to 5, and records a comment."""

    question: str = "welcome"
    tone: str = "beep"
    thanks: str = "beep"
    directory: Path = Path("comments")
    webhook: str | None = None

    def prompt_names(self) -> list[str]:
        """The prompts that the survey plays, so that a missing prompt is found when the server starts."""
        return [self.question, self.tone, self.thanks]

    def folders(self) -> Iterable[Path]:
        """The folders that the survey writes into, so that `mediaserver check` can test them."""
        return [self.directory]

    async def run(self, call: Call) -> None:
        """Serve one call: the question, the comment, and a goodbye."""
        grade = await self.grade(call)
        await call.play(self.tone)
        comment = await call.record(
            self.directory / f"{call.stream.id}.wav", max_duration=60, max_silence=3, finish_on="#"
        )
        result = {"grade": grade, "comment": comment.file, "seconds": comment.seconds}
        call.notify("survey.done", result)  # sent to the URL of [events] in the background
        goodbye = await self.report(call, result)
        try:
            await call.play(goodbye)
        except PromptError:  # the backend has named a prompt that does not exist
            await call.play(self.thanks)
        await call.play(silence(200))  # ms of silence, so that the end of the prompt is not cut off

    async def grade(self, call: Call) -> str:
        """Ask for a digit from 1 to 5, up to three times; "" if there is none. Speech also stops the question."""
        for _ in range(3):
            answer = await call.collect_digits(1, prompt=self.question, timeout=4, barge_in="speech")
            if answer.digits in ("1", "2", "3", "4", "5"):
                return answer.digits
        return ""

    async def report(self, call: Call, result: dict[str, Any]) -> str:
        """Send the result to the backend, and return the prompt that it answers with."""
        if self.webhook is None:
            return self.thanks
        try:
            answer = await call.ask(self.webhook, result, timeout=3)
        except PeerError:  # the backend is down or slow, or its answer is not JSON
            return self.thanks
        wanted = answer.get("play") if isinstance(answer, dict) else None
        return wanted if isinstance(wanted, str) else self.thanks
