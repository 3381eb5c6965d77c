"""The flows that users paste: those of the documentation, and those that the flow engine executes."""

import json

import pytest

from mediaserver.client.flows.actions import parse_flow
from mediaserver.client.flows.builder import dialled_addresses, flow_actions
from mediaserver.wire.encapsulation import Encapsulation
from mediaserver.wire.voipbin.actions import external_media_start
from tests.pages import README, blocks, page

FLOW = "docs/flow-builders/flow.md"
URL = "wss://media.example.com/audio-stream"


@pytest.mark.parametrize("path", [README, FLOW])
def test_the_flow_of_the_documentation_is_this_one(path: str) -> None:
    assert json.loads(blocks(page(path), "json")[0])["actions"] == flow_actions(url=URL)


def test_the_action_of_the_documentation_for_audiosocket_is_this_one() -> None:
    assert json.loads(blocks(page(FLOW), "json")[1]) == external_media_start("media.example.com:9000")


def test_a_flow_by_fetch_has_one_action() -> None:
    url = "https://media.example.com/flow/s3cret/menu"
    assert flow_actions(fetch_url=url) == [{"type": "fetch", "option": {"event_url": url, "event_method": "POST"}}]


def test_media_is_kept_by_a_sleep_behind_it() -> None:
    flow = flow_actions(external_host="media.example.com:9000", hold_ms=1000)
    kinds = [action.type for action in parse_flow(json.dumps(flow))]
    assert kinds == ["answer", "external_media_start", "sleep", "hangup"]
    assert flow[2] == {"type": "sleep", "option": {"duration": 1000}}
    assert flow_actions(url=URL, encapsulation=Encapsulation.RTP)[1]["option"]["encapsulation"] == "rtp"


@pytest.mark.parametrize("ways", [{}, {"url": URL, "fetch_url": "http://x/"}])
def test_exactly_one_way_is_wanted(ways: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give one of"):
        flow_actions(**ways)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ways", "address"),
    [
        ({"url": URL}, ("media.example.com", 443)),
        ({"url": "ws://10.0.0.1:8080/menu"}, ("10.0.0.1", 8080)),
        ({"external_host": "[2001:db8::1]:9000"}, ("2001:db8::1", 9000)),
        ({"fetch_url": "http://media.example.com/flow/x/menu"}, ("media.example.com", 80)),
    ],
)
def test_what_the_platform_dials(ways: dict[str, str], address: tuple[str, int]) -> None:
    assert dialled_addresses(flow_actions(**ways)) == [address]  # type: ignore[arg-type]
