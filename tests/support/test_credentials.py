"""Secrets: what may be shown of a URL, and what never reaches a terminal or a log."""

import json
import logging
import re
from pathlib import Path

import pytest
import structlog

import mediaserver
from mediaserver.support import log
from mediaserver.support.credentials import redact_url, redact_urls


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://media.example.com/a/b", "wss://media.example.com/a/b"),
        ("ws://bob:s3cret@host:8080/a?token=s3cret#s3cret", "ws://host:8080/a"),
        ("ws://s3cret@[::1]:80/", "ws://[::1]:80/"),
        ("ws://host?accesskey=s3cret", "ws://host"),
        ("bob:s3cret@host/a", "host/a"),
        ("127.0.0.1:8080/a?sig=s3cret", "127.0.0.1:8080/a"),
        ("ws://bob:s3/cret@host/", "ws://…"),
        ("ws://bob:s3?cret@host/", "ws://…"),
        ("ws://bob:s3#cret@host/", "ws://…"),
        ("ws://bob:s3cret", "ws://…"),
        ("https://host/sip:bob@example.com", "https://host/sip:bob@example.com"),
        ("tcp://host:9000", "tcp://host:9000"),
        ("https://{host}:1/{who}", "https://{host}:1/{who}"),
        ("http://[", "http://…"),
        ("", ""),
        ("ws:/bob:s3cret@host/x", "host/x"),
        ("//bob:s3cret@host/x", "host/x"),
        ("/a?token=s3cret", "/a"),
        ("ws://host:1/x&token=s3cret", "ws://host:1/x"),
        ("ws://host:1/x;Token=s3cret", "ws://host:1/x"),
        ("ws://host/a&b;c", "ws://host/a&b;c"),
    ],
)
def test_a_redacted_url_has_no_user_password_or_query(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_urls_in_a_text_are_redacted_and_the_rest_stays() -> None:
    text = "begin with ws:// or wss://: 'https://me:s3cret@a/b?c=s3cret' and (http://d) at 10:30"
    assert redact_urls(text) == "begin with ws:// or wss://: 'https://a/b?…' and (http://d) at 10:30"


@pytest.mark.parametrize(
    "text",
    [
        "ws://127.0.0.1:1: refused",
        "tcp://[::1]:1: refused",
        "on ws://0.0.0.0:8080, admin http://127.0.0.1:8081.",
        "(see https://host/a/b; or http://host)",
    ],
)
def test_a_sentence_around_a_url_stays_as_it_is(text: str) -> None:
    assert redact_urls(text) == text


def test_a_line_is_json_whatever_a_stranger_dials(capsys: pytest.CaptureFixture[str]) -> None:
    path = '/play/http://h/?","event":"forged'
    log.configure("info", "json")
    try:
        structlog.get_logger().info("refused", path=path, more={"paths": (path, 1, None)})
    finally:
        log.configure("error", "console")
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "refused"
    assert line["path"] == '/play/http://h/?…","event":"forged'
    assert line["more"] == {"paths": ['/play/http://h/?…","event":"forged', 1, None]}


def test_control_characters_of_strangers_do_not_reach_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """In a value, in what a value holds, in the message of another library, in an error."""
    evil = "a\x1b]0;owned\x07\x9b2J"
    log.configure("info", "console")
    try:
        logger = structlog.get_logger()
        logger.info(f"told of {evil}", path=evil, added=[evil, {evil: (evil,)}], file=Path(evil))
        try:
            raise ValueError(evil)
        except ValueError:
            logger.exception("failed")
    finally:
        log.configure("error", "console")
    written = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)  # colours are ours
    assert {each for each in written if not each.isprintable()} <= {"\n"}
    assert written.count("owned") >= 7


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_line_of_the_log_has_a_secret_of_a_url(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://bob:s3cret@backend.example.com/x?token=s3cret"
    log.configure("info", style)
    try:
        try:
            raise RuntimeError(f"Cannot connect to {url}")
        except RuntimeError:
            structlog.get_logger().exception("it failed", why=f"see {url}, please")
            logging.getLogger("aiohttp.server").exception("of a library: %s", url)
    finally:
        log.configure("error", "console")
    lines = capsys.readouterr().err
    assert "s3cret" not in lines
    assert "bob" not in lines
    assert lines.replace("\\u2026", "…").count("https://backend.example.com/x?…") >= 4
    if style == "json":
        assert [json.loads(line)["event"][:2] for line in lines.splitlines()] == ["it", "of"]


def test_no_other_module_redacts_urls_by_itself() -> None:
    """One mechanism: other modules call `credentials`, or name the host alone (`host_of`)."""
    package = Path(mediaserver.__file__).parent
    own = [
        str(module.relative_to(package))
        for module in sorted(package.rglob("*.py"))
        if '.partition("?")' in module.read_text() or "rpartition('@')" in module.read_text()
    ]
    assert own == []
