"""The payloads of events about other programs: a menu's webhook, a bridge's application, an assistant's model, and
VoIPBIN's flows.

They have the same form as those in `payloads`.
"""

from typing import Annotated, NotRequired, TypedDict


class WebhookSlow(TypedDict):
    """A menu's webhook has answered, but after 2 seconds or more, in which the caller heard nothing."""

    menu: Annotated[str, "the menu's name; empty where there was none yet"]
    webhook: Annotated[str, "where the settings have it, such as `menus.main.keys.1.webhook`"]
    seconds: Annotated[float, "seconds until the answer"]


class WebhookFailed(TypedDict):
    """A menu's webhook gave no valid answer."""

    menu: Annotated[str, "the menu's name; empty where there was none yet"]
    webhook: Annotated[str, "where the settings have it, such as `menus.main.keys.1.webhook`"]
    why: Annotated[str, "the reason, in words"]


class BridgeConnected(TypedDict):
    """The handler `bridge` has connected to the application."""

    host: Annotated[str, "the application's host"]
    connections: Annotated[int, "connections to the application so far, of this stream"]


class BridgeSilent(TypedDict):
    """The application has said nothing for 15 seconds, or until it hung up. A stream reports that once."""

    host: Annotated[str, "the application's host"]
    seconds: Annotated[float, "seconds since it was connected"]


class BridgeTrouble(TypedDict):
    """The handler `bridge` has lost its connection (`bridge.lost`), or gives the bridge up (`bridge.failed`)."""

    host: Annotated[str, "the application's host"]
    why: Annotated[str, "the reason, in words"]


class BridgeEnded(TypedDict):
    """The handler `bridge` has ended the bridge between the call and the application."""

    host: Annotated[str, "the application's host"]
    connections: Annotated[int, "connections to the application in all"]
    malformed: Annotated[int, "messages of the application that the protocol does not allow"]
    said_s: Annotated[float, "seconds of sound that came from the application"]
    unsent_s: Annotated[float, "seconds of the caller's sound that the application did not get"]
    unheard_s: Annotated[float, "seconds of the application's sound that the caller did not get"]
    why: Annotated[str, "what ended it, in words: the application hung up, was given up, or the call ended"]


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
        "`hang_up`, `transfer`, `idle`, `max_turns`, `failures`, or `exhausted`: the flow has no actions left",
    ]


class FlowDecided(TypedDict):
    """A handler has decided what the VoIPBIN flow of its call does next. The next `fetch` is answered with it."""

    actions: Annotated[
        list[str], "the types of the actions, such as `connect`; none where the flow goes on behind its `fetch`"
    ]
    executed: Annotated[int, "actions of the flow that were executed before"]


class FlowFailed(TypedDict):
    """A call of a VoIPBIN flow has got no media, or the flow has ended too soon."""

    reason: Annotated[
        str, "`no-port`, `refused`, `not-dialled`, `exhausted`, or `silent` where the flow fetches no more"
    ]
    why: Annotated[str, "the reason, in words"]


class ControlFailed(TypedDict):
    """VoIPBIN did not hang up or transfer a call as the handler had asked, on a stream that the server dialled."""

    what: Annotated[str, "`hangup` or `transfer`"]
    why: Annotated[str, "the reason, in words"]
