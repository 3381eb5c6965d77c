"""`[[attach]]`: the rules by which calls that VoIPBIN's webhooks report get a media stream."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mediaserver.config.fields import Table


def _validate_pattern(text: str) -> str:
    if "*" in text[:-1]:
        raise ValueError("should have a * at its end only, which stands for any rest")
    return text


def _validate_path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("should be a path of the configuration: it begins with /")
    return path


TargetPattern = Annotated[str, AfterValidator(_validate_pattern)]


class AttachRule(Table):
    """A rule that says which answered calls the server dials at VoIPBIN by itself, and which path serves them."""

    on: Literal["call_progressing"] = Field(
        "call_progressing",
        description="The type of the webhook. `call_progressing` tells that a call is answered.",
    )
    path: Annotated[str, AfterValidator(_validate_path)] = Field(
        description="The path of the configuration that decides what happens on the stream. It may have a query."
    )
    destination: TargetPattern = Field(
        "*", description="The number or name that is called. A * at the end stands for any rest, as in `+1555*`."
    )
    source: TargetPattern = Field(
        "*", description="The number or name that calls. A * at the end stands for any rest."
    )
    direction: Literal["incoming", "outgoing", "any"] = Field(
        "incoming",
        description="`incoming`: calls to your numbers. `outgoing`: calls that VoIPBIN makes, such as transfers.",
    )

    def matches(self, destination: str, source: str, direction: str) -> bool:
        """Whether the rule applies to a call from `source` to `destination` in this `direction`."""
        return (
            self.direction in ("any", direction)
            and _matches(self.destination, destination)
            and _matches(self.source, source)
        )


def _matches(pattern: str, target: str) -> bool:
    return target.startswith(pattern[:-1]) if pattern.endswith("*") else target == pattern
