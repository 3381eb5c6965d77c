"""The event hub: what subscribers get, in which order, and what they are told of what they have missed."""

import json

from mediaserver.events.envelope import Event
from mediaserver.events.hub import (
    KEPT,
    KEPT_BY_STREAM,
    KEPT_OF_STREAM,
    MAX_PENDING,
    EventHub,
    Subscription,
)


async def taken(subscription: Subscription) -> list[int]:
    """The sequence numbers of all events that wait for a subscriber."""
    subscription.close()
    return [event.sequence async for event in subscription]


def publish(hub: EventHub, *kinds: str, stream: str = "s") -> None:
    for kind in kinds:
        hub.publish(Event(stream, kind, {"path": "/p"}))


async def test_a_subscriber_gets_what_it_wants_from_now_on() -> None:
    hub = EventHub()
    publish(hub, "a")
    subscription, missed = hub.subscribe(wanted=lambda event: event.kind == "a")
    publish(hub, "a", "b", "a")
    assert (await taken(subscription), missed) == ([2, 4], 0)


async def test_it_continues_after_the_last_that_it_has_seen() -> None:
    hub = EventHub()
    publish(hub, *["a"] * (KEPT + 5))
    for after, first, missed in ((KEPT + 3, KEPT + 4, 0), (5, 6, 0), (3, 6, 2), (0, 6, 5)):
        subscription, told = hub.subscribe(after)
        sequences = await taken(subscription)
        assert (sequences, told) == (list(range(first, KEPT + 6)), missed)


async def test_after_a_restart_it_gets_all_that_is_kept() -> None:
    hub = EventHub()
    publish(hub, "a", "a")
    subscription, missed = hub.subscribe(after=100)
    assert (await taken(subscription), missed) == ([1, 2], None)


async def test_of_too_many_the_oldest_are_dropped_and_counted() -> None:
    hub = EventHub()
    subscription, _ = hub.subscribe()
    publish(hub, *["a"] * (MAX_PENDING + 3))
    assert subscription.dropped == 3
    assert await taken(subscription) == list(range(4, MAX_PENDING + 4))


async def test_who_has_unsubscribed_gets_nothing_more_and_a_closed_hub_ends_all() -> None:
    hub = EventHub()
    subscription, _ = hub.subscribe()
    hub.unsubscribe(subscription)
    publish(hub, "a")
    assert await taken(subscription) == []
    hub.close()
    subscription, _ = hub.subscribe(after=0)
    assert [event.sequence async for event in subscription] == [1]


async def test_an_event_is_json_as_it_was_when_it_happened() -> None:
    hub = EventHub()
    subscription, _ = hub.subscribe()
    data = {"digits": "1"}
    hub.publish(Event("s", "digits", data))
    data["digits"] = "2"
    # A bug of a handler's must not stop its call.
    hub.publish(Event("s", "broken", {"number": float("nan")}))
    subscription.close()
    (event,) = [json.loads(event.json) async for event in subscription]
    assert (event["type"], event["stream"], event["sequence"], event["data"]) == (
        "digits",
        "s",
        1,
        {"digits": "1"},
    )


async def of_stream(hub: EventHub, stream: str, after: int) -> tuple[list[int], int | None]:
    subscription, missed = hub.subscribe(after, stream=stream)
    return await taken(subscription), missed


async def test_a_stream_has_its_own_events_however_much_happens_on_others() -> None:
    hub = EventHub()
    publish(hub, "a", "b", stream="mine")
    publish(hub, *["a"] * (KEPT + 1), stream="other")
    assert await of_stream(hub, "mine", 0) == ([1, 2], 0)
    assert await of_stream(hub, "mine", 1) == ([2], 0)
    assert await of_stream(hub, "mine", 10_000) == ([1, 2], None)
    assert await of_stream(hub, "nobody", 0) == ([], 0)
    wanted, _ = hub.subscribe(0, lambda event: event.kind == "b", "mine")
    publish(hub, "b", stream="other")
    publish(hub, "b", stream="mine")
    assert await taken(wanted) == [2, KEPT + 5]


async def test_of_one_stream_so_many_are_kept_and_the_others_are_counted() -> None:
    hub = EventHub()
    publish(hub, *["a"] * (KEPT_OF_STREAM + 3))
    assert await of_stream(hub, "s", 0) == (list(range(4, KEPT_OF_STREAM + 4)), 3)
    assert await of_stream(hub, "s", 3) == (list(range(4, KEPT_OF_STREAM + 4)), 0)


async def test_of_too_many_in_all_those_of_the_stream_that_was_quiet_longest_go() -> None:
    hub = EventHub()
    publish(hub, "a", "b", stream="over")
    hub.end_stream("over")
    publish(hub, "a", "b", stream="quiet")
    publish(hub, "a", stream="lively")
    for n in range(KEPT_BY_STREAM // KEPT_OF_STREAM - 1):
        publish(hub, *["a"] * KEPT_OF_STREAM, stream=f"other-{n}")
    publish(hub, *["a"] * (KEPT_OF_STREAM - 5), stream="more")
    publish(hub, "b", stream="lively")  # one more than are kept
    assert (hub.has_kept("over"), hub.has_kept("quiet"), hub.has_kept("lively")) == (False, True, True)
    publish(hub, "a", "a", stream="more")
    assert not hub.has_kept("quiet")
    publish(hub, "c", stream="quiet")
    assert await of_stream(hub, "quiet", 0) == ([hub.sequence], 2)
    assert len((await of_stream(hub, "lively", 0))[0]) == 2
