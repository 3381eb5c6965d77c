"""Tickets of the admin port: for one path, once, and not for long."""

import pytest

from mediaserver.config.listener_settings import Scope
from mediaserver.errors import RefusedError
from mediaserver.server.admin.authorization import TICKET_SECONDS, Grant, Tickets

GRANT = Grant("reader", frozenset({Scope.READ}))


def test_a_ticket_has_the_rights_of_its_token_once() -> None:
    tickets = Tickets()
    ticket = tickets.issue("/v1/events", GRANT)
    assert tickets.redeem(ticket, "/v1/events", {GRANT}) == GRANT
    with pytest.raises(RefusedError):
        tickets.redeem(ticket, "/v1/events", {GRANT})


def test_a_ticket_expires() -> None:
    now = 100.0
    tickets = Tickets(lambda: now)
    first, second = tickets.issue("/a", GRANT), tickets.issue("/a", GRANT)
    now += TICKET_SECONDS
    assert tickets.redeem(first, "/a", {GRANT}) == GRANT
    now += 0.001
    with pytest.raises(RefusedError):
        tickets.redeem(second, "/a", {GRANT})


def test_a_ticket_for_another_path_is_void_afterwards() -> None:
    tickets = Tickets()
    ticket = tickets.issue("/a", GRANT)
    for path in ("/b", "/a"):
        with pytest.raises(RefusedError):
            tickets.redeem(ticket, path, {GRANT})


def test_of_too_many_tickets_the_oldest_are_void() -> None:
    tickets = Tickets()
    first, *others = [tickets.issue("/a", GRANT) for _ in range(1001)]
    with pytest.raises(RefusedError):
        tickets.redeem(first, "/a", {GRANT})
    assert all(tickets.redeem(ticket, "/a", {GRANT}) == GRANT for ticket in others)


def test_what_a_token_lacks_is_refused_by_name() -> None:
    GRANT.require(Scope.READ)
    with pytest.raises(RefusedError, match="the token reader lacks the scope control") as refused:
        GRANT.require(Scope.CONTROL)
    assert refused.value.status == 403


def test_with_its_token_a_ticket_loses_its_rights() -> None:
    tickets = Tickets()
    ticket = tickets.issue("/a", GRANT)
    with pytest.raises(RefusedError):
        tickets.redeem(ticket, "/a", {GRANT._replace(digest=b"another token")})
