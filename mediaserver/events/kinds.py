"""The kinds of events that streams emit.

A handler emits an event with `call.notify(kind, payload)`. The values of `EventKind` are the names in the setting
`events.types`, in the label `type` of the metric `mediaserver_events_total`, and in the `type` of a webhook. The
payload's keys stand in the webhook's `data`, beside `path`, `resource` and `variables`, which every event has.
Users' own handlers may emit events of other names.
"""

from enum import StrEnum

from mediaserver.events import payloads, peer_payloads


class EventKind(StrEnum):
    """The kinds of events: what happened on a stream."""

    STREAM_STARTED = "stream.started"
    STREAM_ENDED = "stream.ended"
    STREAM_DISCONNECTED = "stream.disconnected"
    STREAM_RECONNECTED = "stream.reconnected"
    STREAM_SWITCHED = "stream.switched"
    STREAM_ADJUSTED = "stream.adjusted"
    STREAM_INBOUND = "stream.inbound"
    DIGITS = "digits"
    TONE = "tone"
    KEYWORD = "keyword"
    ANALYSIS = "analysis"
    SILENCE = "silence"
    SPEECH_STARTED = "speech.started"
    SPEECH_STOPPED = "speech.stopped"
    SPEECH_FAILED = "speech.failed"
    RECORDING_STARTED = "recording.started"
    RECORDING_DONE = "recording.done"
    RECORDING_FAILED = "recording.failed"
    RECORDING_PAUSED = "recording.paused"
    RECORDING_RESUMED = "recording.resumed"
    PLAYBACK_DONE = "playback.done"
    MARK = "mark"
    LISTENING_STARTED = "listening.started"
    LISTENING_ENDED = "listening.ended"
    MENU_ENTERED = "menu.entered"
    MENU_TIMEOUT = "menu.timeout"
    MENU_INVALID = "menu.invalid"
    WEBHOOK_SLOW = "webhook.slow"
    WEBHOOK_FAILED = "webhook.failed"
    TRANSCRIPT_PARTIAL = "transcript.partial"
    TRANSCRIPT_FINAL = "transcript.final"
    TRANSCRIPT_FAILED = "transcript.failed"
    RECOGNITION_FAILED = "recognition.failed"
    REPORT_FAILED = "report.failed"
    BRIDGE_CONNECTED = "bridge.connected"
    BRIDGE_SILENT = "bridge.silent"
    BRIDGE_LOST = "bridge.lost"
    BRIDGE_FAILED = "bridge.failed"
    BRIDGE_ENDED = "bridge.ended"
    ASSISTANT_TURN = "assistant.turn"
    ASSISTANT_FAILED = "assistant.failed"
    ASSISTANT_HANGUP = "assistant.hangup"
    ASSISTANT_TRANSFER = "assistant.transfer"
    FLOW_DECIDED = "flow.decided"
    FLOW_FAILED = "flow.failed"
    CONTROL_FAILED = "control.failed"


# The type (a TypedDict) of the payload of each kind of event.
EVENTS: dict[EventKind, type] = {
    EventKind.STREAM_STARTED: payloads.StreamStarted,
    EventKind.STREAM_ENDED: payloads.StreamEnded,
    EventKind.STREAM_DISCONNECTED: payloads.StreamDisconnected,
    EventKind.STREAM_RECONNECTED: payloads.StreamReconnected,
    EventKind.STREAM_SWITCHED: payloads.StreamSwitched,
    EventKind.STREAM_ADJUSTED: payloads.StreamAdjusted,
    EventKind.STREAM_INBOUND: payloads.StreamInbound,
    EventKind.DIGITS: payloads.Digits,
    EventKind.TONE: payloads.Tone,
    EventKind.KEYWORD: payloads.Keyword,
    EventKind.ANALYSIS: payloads.Analysis,
    EventKind.SILENCE: payloads.Silence,
    EventKind.SPEECH_STARTED: payloads.SpeechStarted,
    EventKind.SPEECH_STOPPED: payloads.SpeechStopped,
    EventKind.SPEECH_FAILED: payloads.SpeechFailed,
    EventKind.RECORDING_STARTED: payloads.RecordingStarted,
    EventKind.RECORDING_DONE: payloads.RecordingDone,
    EventKind.RECORDING_FAILED: payloads.RecordingFailed,
    EventKind.RECORDING_PAUSED: payloads.RecordingPaused,
    EventKind.RECORDING_RESUMED: payloads.RecordingPaused,
    EventKind.PLAYBACK_DONE: payloads.PlaybackDone,
    EventKind.MARK: payloads.Mark,
    EventKind.LISTENING_STARTED: payloads.Listening,
    EventKind.LISTENING_ENDED: payloads.Listening,
    EventKind.MENU_ENTERED: payloads.MenuEntered,
    EventKind.MENU_TIMEOUT: payloads.MenuMissed,
    EventKind.MENU_INVALID: payloads.MenuMissed,
    EventKind.WEBHOOK_SLOW: peer_payloads.WebhookSlow,
    EventKind.WEBHOOK_FAILED: peer_payloads.WebhookFailed,
    EventKind.TRANSCRIPT_PARTIAL: payloads.TranscriptPartial,
    EventKind.TRANSCRIPT_FINAL: payloads.TranscriptFinal,
    EventKind.TRANSCRIPT_FAILED: payloads.FileFailed,
    EventKind.RECOGNITION_FAILED: payloads.RecognitionFailed,
    EventKind.REPORT_FAILED: payloads.FileFailed,
    EventKind.BRIDGE_CONNECTED: peer_payloads.BridgeConnected,
    EventKind.BRIDGE_SILENT: peer_payloads.BridgeSilent,
    EventKind.BRIDGE_LOST: peer_payloads.BridgeTrouble,
    EventKind.BRIDGE_FAILED: peer_payloads.BridgeTrouble,
    EventKind.BRIDGE_ENDED: peer_payloads.BridgeEnded,
    EventKind.ASSISTANT_TURN: peer_payloads.AssistantTurn,
    EventKind.ASSISTANT_FAILED: peer_payloads.AssistantFailed,
    EventKind.ASSISTANT_HANGUP: peer_payloads.AssistantHangup,
    EventKind.ASSISTANT_TRANSFER: peer_payloads.AssistantTransfer,
    EventKind.FLOW_DECIDED: peer_payloads.FlowDecided,
    EventKind.FLOW_FAILED: peer_payloads.FlowFailed,
    EventKind.CONTROL_FAILED: peer_payloads.ControlFailed,
}

# The kinds of events that report failures, for alerts. Their counters start at 0, because Prometheus' `rate` would
# miss the first event of a counter that starts at 1.
FAILURES = (
    EventKind.RECORDING_FAILED,
    EventKind.TRANSCRIPT_FAILED,
    EventKind.REPORT_FAILED,
    EventKind.SPEECH_FAILED,
    EventKind.RECOGNITION_FAILED,
    EventKind.ASSISTANT_FAILED,
    EventKind.BRIDGE_LOST,
    EventKind.BRIDGE_FAILED,
    EventKind.WEBHOOK_FAILED,
    EventKind.STREAM_INBOUND,
    EventKind.FLOW_FAILED,
    EventKind.CONTROL_FAILED,
)
