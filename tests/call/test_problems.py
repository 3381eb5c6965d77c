"""What is told of a bad stream: which figures are worth a sentence, and what the sentences say."""

from typing import Any

import pytest

from mediaserver.call.inbound.monitor import InboundProblem
from mediaserver.call.problems import UNDELIVERED, Failures, find_problems
from mediaserver.events.kinds import FAILURES, EventKind
from mediaserver.transport.closing import EndReason
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

# The summary of a stream of 20 s that was good.
GOOD = {
    "wire": "rtp/pcmu",
    "frames": 1000,
    "late": 1,
    "skipped": 9,
    "underruns": 10,
    "stalls": 0,
    "received": 1000,
    "malformed": 0,
    "texts": 0,
    "dropped": 0,
    "packets": 990,
    "lost_packets": 10,
    "jitter_ms": 30.0,
    "keys": 0,
    "reason": "peer-closed",
}


def told(failures: Failures | None = None, **facts: Any) -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in find_problems(GOOD | facts, failures or Failures())]


def test_nothing_is_told_of_a_good_stream() -> None:
    assert told() == []
    assert told(reason=None) == []  # it is in progress
    assert told(late=0, skipped=0, frames=0, packets=0, lost_packets=0) == []
    assert told(frames=1_000_000, skipped=9, late=9991) == []
    assert [kind for kind, _ in told(frames=1_000_000, skipped=10)] == ["late"]


@pytest.mark.parametrize(
    ("facts", "kind", "text"),
    [
        (
            {"late": 2},
            "late",
            "This server was held up: 2 frames came late, and for 0.2 s nothing was sent. "
            "Health has the server's lateness.",
        ),
        (
            {"late": 1, "skipped": 125},
            "late",
            "This server was held up: 1 frame came late, and for 2.5 s nothing was sent. "
            "Health has the server's lateness.",
        ),
        (
            {"stalls": 1, "stalled_s": 3.4},
            "slow-peer",
            "The far end read too slowly: sending stood still once, for 3.4 s in all. "
            "Look at the network, and at what reads at the far end.",
        ),
        (
            {"underruns": 50},
            "underruns",
            "1.0 s of silence were sent, because sound was not there in time: that of a bot, of speech, or of a "
            "prompt that was not decoded yet.",
        ),
        (
            {"packets": 95, "lost_packets": 5},
            "loss",
            "5 of 100 RTP packets of the caller were lost (5.0%). Look at the network.",
        ),
        (
            {"packets": 95, "lost_packets": 10, "late_packets": 5},
            "loss",
            "10 of 100 RTP packets of the caller were lost (10.0%), 5 of them because they came too late. "
            "Look at the network.",
        ),
        ({"jitter_ms": 31.4}, "jitter", "The caller's packets came with 31 ms of jitter."),
        (
            {"malformed": 501, "malformed_why": "RTP version 1, not 2"},
            "malformed",
            "501 of 1000 messages of the far end were not rtp (RTP version 1, not 2): "
            "ask for the encapsulation that it speaks.",
        ),
        (
            {"malformed": 1000, "malformed_why": "empty", "wire": "audiosocket/message"},
            "malformed",
            "1000 of 1000 messages of the far end were not audiosocket (empty): "
            'set framing = "pcm", or ask for the encapsulation that it speaks.',
        ),
        (
            {"malformed": 6, "malformed_why": "RTP payload type 101 is none of 0, 8, 96"},
            "malformed",
            "6 of 1000 messages of the far end were not rtp, and left out: "
            "RTP payload type 101 is none of 0, 8, 96.",
        ),
        (
            {"texts": 2},
            "texts",
            "2 text messages of the far end went unread: sound comes in binary messages, and keys do, too.",
        ),
        ({"dropped": 7}, "dropped", "7 frames of the caller were dropped: the handler took them too slowly."),
        (
            {"reconnects": 2, "lost": 10, "resource": "calls/1", "keys": 1},
            "broken",
            "The connection broke 2 times, and was made again: 0.2 s of sound may not have arrived.",
        ),
        (
            {"prompt_warnings": ["a is soft: -60.0 LUFS", "b is loud: -3.0 LUFS"]},
            "prompt",
            "The prompt a is soft: -60.0 LUFS; b is loud: -3.0 LUFS. See Prompts.",
        ),
        (
            {"muted": ["caller", "us"], "gain": -6.0},
            "adjusted",
            "Requests have muted us and muted the caller for the handler and set our gain to -6 dB: "
            "see the events.",
        ),
        (
            {"reason": "stalled", "why": ""},
            "stalled",
            "The far end read nothing for server.stall_timeout seconds.",
        ),
        (
            {"reason": "refused", "why": "HTTP status 404"},
            "refused",
            "The far end refused the stream that this server dialled: HTTP status 404.",
        ),
        (
            {"inbound_problems": ["digital-silence"]},
            "digital-silence",
            "Nothing but digital silence was heard: does the stream listen to the caller?",
        ),
        (
            {"inbound_problems": ["stopped"]},
            "stopped",
            "Nothing is heard any more: the call may be over, or nobody speaks in its bridge.",
        ),
    ],
)
def test_each_fault_is_told_in_a_sentence(facts: dict[str, Any], kind: str, text: str) -> None:
    assert told(**facts) == [(kind, text)]


def test_a_far_end_whose_messages_cannot_be_read_is_not_said_to_send_none() -> None:
    facts: dict[str, Any] = {"inbound_problems": ["no-audio"], "malformed": 900, "malformed_why": "empty"}
    assert told(**facts)[0] == ("no-audio", "Nothing that the far end sent could be read as sound.")
    assert [kind for kind, _ in told(**facts)] == ["no-audio", "malformed"]
    assert "what dials us sends none" in told(inbound_problems=["no-audio"])[0][1]


def test_keys_that_cannot_come_are_told_of_streams_that_were_dialled() -> None:
    ((kind, text),) = told(resource="calls/1")
    assert (kind, text[:17]) == ("no-keys", "No key was heard,")
    assert told(resource="calls/1", keys=1) == []


def test_a_menu_that_waits_for_keys_in_vain_is_told_of_if_none_came_at_all() -> None:
    failures = Failures()
    failures.add_event(EventKind.MENU_TIMEOUT, {"menu": "main", "digits": ""})
    assert told(failures) == []
    failures.add_event(EventKind.MENU_TIMEOUT, {"menu": "main"})
    ((kind, text),) = told(failures)
    assert kind == "no-keys"
    assert text.startswith("A menu waited for a key 2 times, and none came: the caller pressed none, or ")
    assert told(failures, keys=1) == []
    assert told(failures, keys=None) == []
    assert failures.count == 2  # so that the page Live looks at the stream


def test_every_reason_that_is_a_fault_is_told_and_every_problem_of_received_audio() -> None:
    good = {EndReason.FINISHED, EndReason.HUNG_UP, EndReason.PEER_HUNG_UP, EndReason.PEER_CLOSED}
    assert {reason for reason in EndReason if told(reason=str(reason))} == set(EndReason) - good
    for problem in InboundProblem:
        assert [kind for kind, _ in told(inbound_problems=[str(problem)])] == [problem]


def test_failures_are_told_with_the_latest_reason_and_their_number() -> None:
    failures = Failures()
    failures.add_event(EventKind.WEBHOOK_FAILED, {"menu": "main", "why": "a.example: no answer"})
    failures.add_event(EventKind.RECORDING_FAILED, {"error": "the disk is full"})
    failures.add_event(EventKind.WEBHOOK_FAILED, {"menu": "main", "why": "a.example: HTTP status 500"})
    failures.add_event(EventKind.DIGITS, {"digits": "1"})
    failures.add_event(EventKind.STREAM_INBOUND, {"problem": "stopped"})
    failures.add(UNDELIVERED, "b.example: cannot connect")
    assert told(failures) == [
        ("webhook.failed", "A webhook gave no usable answer, 2 times: a.example: HTTP status 500."),
        ("recording.failed", "A recording failed: the disk is full."),
        ("event.undelivered", "An event was not delivered to events.url: b.example: cannot connect."),
    ]


def test_failures_name_the_file_and_the_host_once() -> None:
    failures = Failures()
    failures.add_event(EventKind.RECORDING_FAILED, {"file": "rec/a.wav", "error": "No space left on device"})
    failures.add_event(EventKind.BRIDGE_LOST, {"host": "bot.example", "why": "it closed with 1011"})
    failures.add_event(EventKind.BRIDGE_FAILED, {"host": "bot.example", "why": "bot.example: no answer"})
    failures.add_event(EventKind.BRIDGE_SILENT, {"host": "bot.example", "seconds": 15.0})
    assert [text for _, text in told(failures)] == [
        "A recording failed: rec/a.wav: No space left on device.",
        "The connection to the application broke: bot.example: it closed with 1011.",
        "The application was given up: bot.example: no answer.",
        "The application said nothing: bot.example was connected for 15 s. Does it speak the path's protocol?",
    ]


def test_what_the_caller_noticed_comes_before_events_that_were_not_delivered() -> None:
    failures = Failures()
    failures.add(UNDELIVERED, "b.example: cannot connect")
    failures.add_event(EventKind.SPEECH_FAILED, {"why": "no voice"})
    facts = {"reason": "stalled", "inbound_problems": ["no-audio"], "stalls": 1, "stalled_s": 10.0}
    kinds = [kind for kind, _ in told(failures, **facts)]
    assert kinds == ["stalled", "speech.failed", "no-audio", "slow-peer", "event.undelivered"]


def test_every_event_about_a_failure_has_its_words() -> None:
    failures = Failures()
    for kind in FAILURES:
        failures.add_event(kind, {})
    assert [kind for kind, _ in told(failures)] == [k for k in FAILURES if k != EventKind.STREAM_INBOUND]


@in_virtual_time
async def test_the_events_of_a_call_are_counted(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))

    async def fail(call: Any) -> None:
        call.notify(EventKind.SPEECH_FAILED, {"why": "no voice"})
        await call.silence()

    await caller.call(fail, 100)
    session = caller.session
    assert find_problems(session.summary(), session.failures) == [
        ("speech.failed", "A text could not be spoken: no voice.")
    ]
