"""The payload of every kind of event: its keys, with their types and what they mean.

The payloads of events about other programs, such as a bridge's application, are in `peer_payloads`. `events.kinds`
says which kind has which payload. `docs/reference/events.md` is generated from the docstrings and annotations of
both modules. Tests compare every event that they see with the annotations. A key is `NotRequired`
where an event may lack the key.
"""

from typing import Annotated, NotRequired, Required, TypedDict


class StreamStarted(TypedDict):
    """A stream begins. If the server dialled it, it is connected now. `stream.ended` has facts known later."""

    wire: Annotated[str, "the encapsulation and framing, such as `audiosocket/pcm`"]
    inbound: Annotated[str, "the codec of the received audio; `auto` while the peer has sent nothing"]


class StreamSummary(TypedDict):
    """The facts of a stream, while it lasts and at its end."""

    path: Annotated[str, "the path of the URL"]
    peer: Annotated[str, "the peer's address and port; `console` for a call by the admin port"]
    wire: Annotated[str, "the encapsulation and framing, such as `audiosocket/pcm`"]
    inbound: Annotated[str, "the codec of the received audio; `auto` where the peer sent nothing"]
    frames: Annotated[int, "frames of 20 ms sent"]
    duration_s: Annotated[float, "seconds from the beginning to the end"]
    late: Annotated[int, "frames sent late, to catch up after the process was held up"]
    skipped: Annotated[int, "frames by which the schedule was moved, because the process was held up for too long"]
    underruns: Annotated[int, "frames of silence sent because a live source had no sound"]
    stalls: Annotated[int, "pauses because the peer read too slowly"]
    received: Annotated[int, "binary messages received"]
    malformed: Annotated[int, "messages received that the wire format does not allow"]
    texts: Annotated[int, "text messages received, which are ignored"]
    dropped: Annotated[int, "received events that were dropped because the handler read them too slowly"]
    why: NotRequired[Annotated[str, "the reason of the end in words, where there is more to say"]]
    malformed_why: NotRequired[Annotated[str, "why the latest of the malformed messages was one"]]
    stalled_s: NotRequired[Annotated[float, "seconds of all these pauses, where there were any"]]
    packets: NotRequired[Annotated[int, "with RTP: packets received while somebody listened, such as the handler"]]
    lost_packets: NotRequired[Annotated[int, "with RTP: packets that are missing among these"]]
    late_packets: NotRequired[Annotated[int, "with RTP: packets that came too late to be put in order"]]
    jitter_ms: NotRequired[Annotated[float, "with RTP: the interarrival jitter at the end, in ms (RFC 3550)"]]
    call: NotRequired[Annotated[str, "the peer's own id of the call, where it names one"]]
    keys: NotRequired[Annotated[int, "keys received, where a handler waited for keys"]]
    inbound_problems: NotRequired[
        Annotated[list[str], "the `problem` of each event `stream.inbound` of the stream"]
    ]
    resource: NotRequired[
        Annotated[str, "on a stream that the server dialled: `calls/<id>` or `conferences/<id>`"]
    ]
    reconnects: NotRequired[Annotated[int, "on a stream that the server dialled: connections made again"]]
    lost: NotRequired[
        Annotated[
            int, "on a stream that the server dialled: frames that may not have arrived when a connection broke"
        ]
    ]


class StreamEnded(StreamSummary):
    """A stream has ended. The line `stream ended` of the log has the same keys."""

    reason: Annotated[str, "[why the stream ended](#why-a-stream-ended), as a fixed word"]
    code: Annotated[int, "the WebSocket close code"]


class StreamDisconnected(TypedDict):
    """The connection of a stream that the server dialled broke, and will be made again."""

    code: Annotated[int, "the WebSocket close code"]
    in_doubt: Annotated[int, "frames that may not have arrived"]


class StreamReconnected(TypedDict):
    """A stream that the server dialled is connected again."""

    lost: Annotated[int, "frames that may not have arrived, of all breaks so far"]


class StreamSwitched(TypedDict):
    """A request to the admin port has switched the stream to another path, which is its `path` from now on."""

    previous: Annotated[str, "the path before the switch"]
    by: Annotated[str, "the name of the token that asked; `anybody` without a token"]


class StreamAdjusted(TypedDict):
    """A request to the admin port has made the stream louder or softer, or has muted a side or unmuted it."""

    gain: Annotated[float, "the gain in dB of all that is sent, from now on"]
    muted: Annotated[list[str], "the sides that are muted from now on: `caller`, `us`"]
    by: Annotated[str, "the name of the token that asked; `anybody` without a token"]


class StreamInbound(TypedDict):
    """The received audio cannot be right, such as audio at half the rate. A stream reports each problem once."""

    problem: Annotated[str, "`no-audio`, `half-rate`, `double-rate`, `digital-silence` or `stopped`"]
    inbound: Annotated[str, "the codec as which the audio is decoded"]


class Digits(TypedDict, total=False):
    """A handler has collected digits; or, for the handler `analyse`, the caller has pressed digits."""

    digits: Annotated[str, "the keys: 0-9, A-D, `*`, `#`"]
    count: Annotated[int, "the number of digits, in place of `digits` where they are private"]


class Tone(TypedDict):
    """The caller's side sends a call-progress or fax tone. The event is emitted once for each tone, if the setting
    `tones` of the stream's URL path is true.
    """

    tone: Annotated[str, "`busy`, `congestion`, `ringback`, `sit`, `fax-cng` or `fax-ced`"]
    at_ms: Annotated[int, "milliseconds of received audio after which it began"]


class SpeechStarted(TypedDict, total=False):
    """The caller begins to speak, while the handler is `analyse` or another handler waits for speech."""

    at_s: Annotated[float, "with `analyse`: when it began, in seconds of received audio"]


class SpeechStopped(TypedDict):
    """The handler `analyse` has noticed that the caller stopped speaking."""

    at_s: Annotated[float, "seconds of received audio"]
    seconds: Annotated[float, "seconds for which the caller spoke"]


class Silence(TypedDict):
    """The handler `analyse` has heard no speech for `silence_after` seconds, a setting of its URL path."""

    at_s: Annotated[float, "seconds of received audio"]
    seconds: Annotated[float, "seconds for which nobody has spoken"]


class SpeechFailed(TypedDict):
    """A text could not be spoken by TTS."""

    why: Annotated[str, "the reason, in words"]


class RecordingStarted(TypedDict):
    """A recording begins."""

    file: Annotated[str, "the file's path"]


class RecordingDone(TypedDict):
    """A recording has ended, and its file is finished."""

    file: Annotated[str, "the file's path"]
    seconds: Annotated[float, "the length of the recording in seconds"]
    reason: Annotated[str, "`stream-ended`, `stopped`, `max-duration`, `silence`, `digit` or `requested`"]
    error: Annotated[str, "empty"]


class RecordingFailed(TypedDict):
    """A recording could not be written. The event is emitted at the failure, in place of `recording.done`."""

    file: Annotated[str, "the path of what was kept"]
    seconds: Annotated[float, "the length of what was kept, in seconds"]
    reason: Annotated[str, "`error`"]
    error: Annotated[str, "the reason, in words"]


class RecordingPaused(TypedDict):
    """All recordings of a stream are paused (`recording.paused`), which fills them with silence, or resumed."""

    by: Annotated[str, "the name of the token that asked; empty where the handler asked"]


class PlaybackDone(TypedDict):
    """A sound that a request to the admin port played has ended, or was stopped."""

    playback: Annotated[str, "the id of the playback, which the answer to the request had"]
    seconds: Annotated[float, "seconds of it that were played"]
    complete: Annotated[bool, "whether all of it was played"]
    why: NotRequired[Annotated[str, "why it failed, in words"]]


class Mark(TypedDict):
    """All sound that played or waited when a request set this mark has been sent, or was stopped."""

    name: Annotated[str, "the name that the request gave to the mark"]
    complete: Annotated[bool, "whether all of that sound was sent, and none was stopped"]


class Listening(TypedDict):
    """Somebody begins to listen to the call by the admin port, or stops (`listening.ended`)."""

    by: Annotated[str, "the name of the token that asked; `anybody` without a token"]
    side: Annotated[str, "`both`, `caller` or `us`"]
    role: Annotated[str, "`listen`, or how the listener also talks: `whisper` or `barge`"]
    seconds: NotRequired[Annotated[float, "in `listening.ended`: seconds for which it lasted"]]
    dropped_s: NotRequired[
        Annotated[
            float,
            "in `listening.ended`: seconds of audio that were dropped, mostly because of a slow reader",
        ]
    ]


class MenuEntered(TypedDict):
    """A caller enters a menu."""

    menu: Annotated[str, "the menu's name"]


class MenuMissed(TypedDict, total=False):
    """The caller pressed no key in time (`menu.timeout`), or a key that the menu lacks (`menu.invalid`)."""

    menu: Required[Annotated[str, "the menu's name"]]
    digits: Annotated[str, "what was pressed, unless the digits are private"]


class Analysis(TypedDict):
    """The handler `analyse` reports on the audio that was received since its last report."""

    from_s: Annotated[float, "when it began, in seconds of received audio"]
    to_s: Annotated[float, "when it ended, in seconds of received audio"]
    heard_s: Annotated[float, "seconds of audio in the report"]
    rms_dbfs: Annotated[float, "the RMS level in dBFS"]
    peak_dbfs: Annotated[float, "the peak in dBFS"]
    level_dbm0: Annotated[float, "the RMS level in dBm0 (ITU-T G.711)"]
    speech_s: Annotated[float, "seconds of speech"]
    speech_ratio: Annotated[float, "the share of speech, 0 to 1"]
    talk_spurts: Annotated[int, "how often the caller began to speak"]
    clipped_samples: Annotated[int, "clipped samples"]
    digits: Annotated[str, "keys that were pressed"]
    packets_lost: Annotated[int, "RTP packets that are missing"]
    packets_late: Annotated[int, "RTP packets that came too late to be put in order"]
    packets_duplicate: Annotated[int, "RTP packets that came twice"]
    jitter_ms: Annotated[
        float, "the interarrival jitter in ms (RFC 3550); where frames are polled, only what exceeds 20 ms"
    ]
    final: Annotated[bool, "whether it is the last report of the stream"]


class FileFailed(TypedDict):
    """A handler cannot write the file of its setting `file`: the transcript of `recognise` or `assistant`
    (`transcript.failed`), or the report of `analyse` (`report.failed`). The event is emitted once for each stream.
    """

    file: Annotated[str, "the file's path"]
    error: Annotated[str, "the reason, in words"]


class TranscriptPartial(TypedDict):
    """The handler `recognise` has the words of an utterance so far, which may change. The event is emitted at most
    four times a second.
    """

    text: Annotated[str, "the words so far"]
    utterance: Annotated[int, "the utterance's number in the stream, from 1"]
    start_s: Annotated[float, "when it began, in seconds of received audio"]


class TranscriptFinal(TypedDict):
    """The handler `recognise` has the words of a whole utterance."""

    text: Annotated[str, "the words; empty for a noise"]
    utterance: Annotated[int, "the utterance's number in the stream, from 1"]
    start_s: Annotated[float, "when it began, in seconds of received audio"]
    end_s: Annotated[float, "when it ended, in seconds of received audio"]
    confidence: Annotated[float | None, "the engine's confidence, 0 to 1, with `vosk`; null with other engines"]
    seconds: Annotated[float, "seconds from its end, which is `end_silence` after its last sound, to the words"]


class Keyword(TypedDict):
    """The handler `recognise` has found a keyword. Each keyword is reported once for each utterance."""

    keyword: Annotated[str, "the keyword, as the setting `keywords` has it"]
    text: Annotated[str, "the words of the utterance so far"]
    utterance: Annotated[int, "the utterance's number in the stream, from 1"]
    start_s: Annotated[float, "the utterance's beginning, in seconds of received audio"]
    final: Annotated[bool, "false where `text` is partial, so that the final words may take it back"]


class RecognitionFailed(TypedDict):
    """The handler `recognise` could not recognise the words of an utterance."""

    utterance: Annotated[int, "the utterance's number in the stream, from 1"]
    start_s: Annotated[float, "when it began, in seconds of received audio"]
    end_s: Annotated[float, "when it ended, in seconds of received audio"]
    why: Annotated[str, "the reason, in words"]
    dropped: Annotated[bool, "whether it was dropped because more than a minute of speech waited"]
