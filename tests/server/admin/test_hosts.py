"""The headers Host and Origin of requests to the admin port."""

import pytest

from mediaserver.errors import RefusedError
from mediaserver.server.admin.hosts import validate_host, validate_origin

NAMES = {"media.internal", "0.0.0.0"}


def status(check: object, *args: object) -> int:
    """The status of a refusal; 200 without one."""
    try:
        check(*args)  # type: ignore[operator]
    except RefusedError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("127.0.0.1:8081", 200),
        ("10.1.2.3:8081", 200),  # a probe asks by the pod's address
        ("10.1.2.3", 200),
        ("[::1]:8081", 200),
        ("[2001:db8::7]", 200),
        ("localhost:8081", 200),
        ("LocalHost", 200),
        ("media.internal:8081", 200),
        ("Media.Internal.", 200),
        ("evil.example.com", 403),
        ("evil.example.com:8081", 403),
        ("localhost.example.com", 403),
        ("127.0.0.1.example.com", 403),
        ("2130706433", 403),
        ("[::g]", 400),
        ("[media.internal]", 400),
        ("", 400),
        ("media.internal:", 200),
        ("media.internal:x", 400),
        ("user@127.0.0.1", 400),
        ("127.0.0.1/x", 400),
        ("127.0.0.1 ", 400),
        ("127.0.0.1\n", 400),
        ("::1", 400),
        ("é", 400),
    ],
)
def test_hosts(header: str, expected: int) -> None:
    assert status(validate_host, [header], NAMES) == expected


def test_a_request_has_exactly_one_host_header() -> None:
    assert status(validate_host, [], NAMES) == 400
    assert status(validate_host, ["127.0.0.1", "127.0.0.1"], NAMES) == 400


@pytest.mark.parametrize(
    ("origins", "hosts", "expected"),
    [
        ([], ["here:8081"], 200),
        (["http://here:8081"], ["here:8081"], 200),
        (["HTTP://HERE:8081"], ["here:8081"], 200),
        (["http://[::1]:8081"], ["[::1]:8081"], 200),
        (["http://here"], ["here:8081"], 403),
        (["http://elsewhere"], ["here"], 403),
        (["null"], ["here"], 403),
        (["null"], ["none"], 403),
        (["null"], [], 403),
        (["http://here"], ["here", "here"], 403),
        (["http://here", "http://elsewhere"], ["here"], 403),
        (["http://["], ["here"], 400),
        (["http://here:99999999"], ["here"], 400),
        (["http://here/path"], ["here"], 400),
        (["here"], ["here"], 400),
        ([""], ["here"], 400),
        (["http://"], ["here"], 400),
    ],
)
def test_origins(origins: list[str], hosts: list[str], expected: int) -> None:
    assert status(validate_origin, origins, hosts) == expected
