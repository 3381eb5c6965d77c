"""VoIPBIN's webhooks: their signature, and what is taken from their bodies."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from mediaserver.wire.voipbin.webhooks import CallEvent, is_signed, parse_event, sign_body

CALL = "652af662-eb45-11ee-b1a5-6fde165f9226"
DATA = {
    "id": CALL,
    "flow_id": "1",
    "activeflow_id": "2",
    "source": {"type": "tel", "target": "+4930999"},
    "destination": {"type": "tel", "target": "+15551234567"},
    "status": "progressing",
    "direction": "incoming",
}


def body(kind: str = "call_progressing", data: Any = DATA) -> bytes:
    return json.dumps({"type": kind, "data": data}).encode()


def test_the_signature_is_the_hmac_of_the_body_as_it_came() -> None:
    given = b'{"type": "call_progressing" , "data": {}}'
    signature = f"sha256={hmac.new(b's3cret', given, hashlib.sha256).hexdigest()}"
    assert sign_body(given, "s3cret") == signature
    assert is_signed(given, "s3cret", signature)
    assert not is_signed(given + b" ", "s3cret", signature)


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", sign_body(b"{}", "other"), sign_body(b"{}", "s")[7:], sign_body(b"{}", "s").upper(), "\udcff"],
)
def test_other_signatures_are_none(signature: str) -> None:
    assert not is_signed(b"{}", "s", signature)


def test_without_a_secret_nothing_is_signed() -> None:
    assert not is_signed(b"{}", "", sign_body(b"{}", ""))


def test_what_is_told_of_a_call() -> None:
    assert parse_event(body()) == CallEvent("call_progressing", CALL, "+4930999", "+15551234567", "incoming")
    assert parse_event(body("call_hangup", {"id": CALL.upper()})) == CallEvent("call_hangup", CALL)
    strange = {"id": CALL, "source": None, "destination": {"target": 7}, "direction": []}
    assert parse_event(body(data=strange)) == CallEvent("call_progressing", CALL)


@pytest.mark.parametrize("kind", ["call_ringing", "call_updated", "conference_created", "", "CALL_HANGUP"])
def test_other_types_are_not_for_us_whatever_they_have(kind: str) -> None:
    assert parse_event(body(kind, [])) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"", "body: is not JSON"),
        (b"\xff", "body: is not JSON"),
        (b"[" * 100_000, "body: is not JSON"),
        (b"[]", "body: should be an object with a type"),
        (b'{"type": 1}', "body: should be an object with a type"),
        (body(data=None), "body: data.id should be the id of a call"),
        (body(data={"id": 7}), "body: data.id should be the id of a call"),
        (body(data={"id": "../calls"}), "body: data.id should be the id of a call"),
    ],
)
def test_what_is_no_webhook(given: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_event(given)
