"""The texts of chan_websocket, word for word as a running Asterisk wrote them."""

import json

import pytest

from tests.twin.chan_texts import CommandError, Texts, parse

PLAIN = Texts("lab", "ws-1a2b3c4d", as_json=False)
JSON = Texts("lab", "ws-1a2b3c4d", as_json=True)
STATUS = {
    "queue_length": 0,
    "xon_level": 800,
    "xoff_level": 900,
    "queue_full": False,
    "bulk_media": False,
    "media_paused": False,
}


def test_plain_events() -> None:
    assert PLAIN.media_start("ulaw", 20) == (
        "MEDIA_START connection_id:lab channel:WebSocket/lab/0x7f0000000000 channel_id:ws-1a2b3c4d "
        "format:ulaw optimal_frame_size:160 ptime:20"
    )
    assert PLAIN.dtmf_end("5") == "DTMF_END digit:5 channel_id:ws-1a2b3c4d"
    assert PLAIN.event("MEDIA_MARK_PROCESSED", "before") == "MEDIA_MARK_PROCESSED before"
    assert PLAIN.event("QUEUE_DRAINED") == "QUEUE_DRAINED"
    assert PLAIN.event("MEDIA_BUFFERING_COMPLETED", "b1") == "MEDIA_BUFFERING_COMPLETED b1"
    assert PLAIN.status(**STATUS) == (
        "STATUS channel_id:ws-1a2b3c4d queue_length:0 xon_level:800 xoff_level:900 queue_full:false "
        "bulk_media:false media_paused:false"
    )


def test_json_events() -> None:
    assert JSON.media_start("slin", 20) == (
        '{"event":"MEDIA_START","connection_id":"lab","channel":"WebSocket/lab/0x7f0000000000",'
        '"channel_id":"ws-1a2b3c4d","format":"slin","optimal_frame_size":320,"ptime":20,'
        '"channel_variables":{"MEDIA_WEBSOCKET_CONNECTION_ID":"lab","MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE":"320"}}'
    )
    assert JSON.dtmf_end("5") == '{"event":"DTMF_END","channel_id":"ws-1a2b3c4d","digit":"5"}'
    assert JSON.event("MEDIA_MARK_PROCESSED", "m1") == (
        '{"event":"MEDIA_MARK_PROCESSED","channel_id":"ws-1a2b3c4d","correlation_id":"m1"}'
    )
    assert JSON.event("QUEUE_DRAINED") == '{"event":"QUEUE_DRAINED","channel_id":"ws-1a2b3c4d"}'
    assert JSON.status(**STATUS) == (
        '{"event":"STATUS","channel_id":"ws-1a2b3c4d","queue_length":0,"xon_level":800,"xoff_level":900,'
        '"queue_full":false,"bulk_media":false,"media_paused":false}'
    )
    assert JSON.error("Unable to parse JSON command") == (
        '{"event":"ERROR","channel_id":"ws-1a2b3c4d","error_text":"Unable to parse JSON command"}'
    )


@pytest.mark.parametrize(("ptime", "size"), [(10, 80), (20, 160), (40, 320), (60, 480)])
def test_a_frame_is_as_long_as_its_ptime(ptime: int, size: int) -> None:
    assert f"optimal_frame_size:{size} ptime:{ptime}" in PLAIN.media_start("ulaw", ptime)


@pytest.mark.parametrize(
    ("text", "as_json", "command"),
    [
        ("ANSWER", False, ("ANSWER", None)),
        ("MARK_MEDIA m1", False, ("MARK_MEDIA", "m1")),
        ('{"command":"ANSWER"}', True, ("ANSWER", None)),
        ('{"command":"MARK_MEDIA","correlation_id":"m1"}', True, ("MARK_MEDIA", "m1")),
        ("MARK_MEDIA " + "m" * 116, False, ("MARK_MEDIA", "m" * 116)),
    ],
)
def test_commands(text: str, as_json: bool, command: tuple[str, str | None]) -> None:
    assert parse(text, as_json) == command


@pytest.mark.parametrize(
    ("text", "as_json", "error"),
    [
        ("ANSWER", True, "Unable to parse JSON command"),
        ("17", True, "Unable to parse JSON command"),
        (json.dumps({"correlation_id": "m1"}), True, "Unknown command: None"),
        (json.dumps({"command": "answer"}), True, "Unknown command: answer"),
        ('{"command":"ANSWER"}', False, "Unknown command"),
        ("answer", False, "Unknown command: answer"),
        ("MARK_MEDIA " + "m" * 117, False, "A command of 128 bytes is too long"),
    ],
)
def test_texts_that_are_no_commands(text: str, as_json: bool, error: str) -> None:
    with pytest.raises(CommandError, match=error) as raised:
        parse(text, as_json)
    assert raised.value.told == ("Unable" in error)
