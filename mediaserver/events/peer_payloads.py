"""The payloads of events about other programs: a bridge's application, an assistant's model, and VoIPBIN's flows.

They have the same form as those in `payloads`.
"""

from typing import Annotated, NotRequired, TypedDict


class BridgeConnected(TypedDict):
    """The handler `bridge` has connected to the application."""

    host: Annotated[str, "the application's host"]
    connections: Annotated[int, "connections of this stream so far"]


class BridgeTrouble(TypedDict):
    """The handler `bridge` has lost its connection (`bridge.lost`), or gives the bridge up (`bridge.failed`)."""

    host: Annotated[str, "the application's host"]
    why: Annotated[str, "the reason, in words"]


class BridgeEnded(TypedDict):
    """The handler `bridge` has ended the bridge between the call and the application."""

    host: Annotated[str, "the application's host"]
    connections: Annotated[int, "connections in all"]
    malformed: Annotated[int, "messages of the application that the protocol does not have"]
    said_s: Annotated[float, "seconds of sound that came from the application"]
    unsent_s: Annotated[float, "seconds of the caller's sound that the application did not get"]
    unheard_s: Annotated[float, "seconds of the application's sound that the caller did not get"]


class AssistantTurn(TypedDict):
    """The handler `assistant` has answered the caller. Times are counted from the end of the caller's voice. A
    step that was not reached has no time.
    """

    caller: Annotated[str, "the caller's words"]
    assistant: Annotated[str, "the answer, as far as it was played"]
    interrupted: Annotated[bool, "whether the caller interrupted it (barge-in)"]
    words_ms: NotRequired[Annotated[int, "ms to the recognised words"]]
    first_delta_ms: NotRequired[Annotated[int, "ms to the model's first words"]]
    first_sentence_ms: NotRequired[Annotated[int, "ms to the first sentence, or clause, that can be spoken"]]
    first_audio_ms: NotRequired[Annotated[int, "ms to the first sound of the answer"]]


class AssistantFailed(TypedDict):
    """A stage of the handler `assistant` failed, or took too long."""

    stage: Annotated[str, "`recognition`, `chat`, `speech` or `transfer`"]
    why: Annotated[str, "the reason, in words"]


class AssistantTransfer(TypedDict):
    """The webhook of the handler `assistant` has answered the request to transfer the call."""

    reason: Annotated[str, "the model's reason for the transfer"]
    hangup: Annotated[bool, "whether the stream ends"]


class AssistantHangup(TypedDict):
    """The handler `assistant` ends the call."""

    why: Annotated[
        str,
        "`hang_up`, `transfer`, `idle`, `max_turns`, `failures` or, of a flow without actions, `exhausted`",
    ]


class FlowDecided(TypedDict):
    """A call's VoIPBIN flow asks the server how the call goes on; the answer to its next `fetch` is decided."""

    actions: Annotated[list[str], "the types of the actions, such as `connect`; empty: the flow goes on by itself"]
    executed: Annotated[int, "actions of the flow that were used before"]


class FlowFailed(TypedDict):
    """A call has no media, or its VoIPBIN flow, which asks the server how the call goes on, has ended too soon."""

    reason: Annotated[str, "`no-port`, `refused`, `not-dialled`, `exhausted` or `silent`: the flow asks no more"]
    why: Annotated[str, "the reason, in words"]


class ControlFailed(TypedDict):
    """VoIPBIN did not hang up or transfer the call of a stream that we dialled, as the handler had asked."""

    what: Annotated[str, "`hangup` or `transfer`"]
    why: Annotated[str, "the reason, in words"]
