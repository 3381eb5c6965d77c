"""Flows created and updated at a server that plays the platform's REST API."""

import pytest
from aiohttp import web

from mediaserver.client.flows.api import store_flow
from mediaserver.client.flows.builder import flow_actions
from mediaserver.client.flows.probe import probe_address
from mediaserver.client.voipbin import Credential
from mediaserver.errors import PeerError
from tests.client.flows.flow_service import FlowService

ACTIONS = flow_actions(external_host="media.example.com:9000")
TOKEN = Credential("voipbin.token", "token", "t0ken")


@pytest.mark.parametrize("credential", [TOKEN, Credential("voipbin.access_key", "accesskey", "k&y")])
async def test_a_flow_is_created_and_then_updated(credential: Credential) -> None:
    async with FlowService(credential.parameter, credential.secret) as service:
        others = [service.add(f"flow {n}") for n in range(3)]
        created = await store_flow(service.api, credential, "menu", "made here", ACTIONS)
        assert created.created
        assert service.flows[created.id] == {"name": "menu", "detail": "made here", "actions": ACTIONS}
        updated = await store_flow(f"{service.api}/", credential, "menu", "changed", [])
        assert updated == (created.id, False)
        assert service.flows[created.id] == {"name": "menu", "detail": "changed", "actions": []}
        assert [service.flows[each]["name"] for each in others] == ["flow 0", "flow 1", "flow 2"]
        written = [(method, path) for method, path in service.asked if method != "GET"]
        assert written == [("POST", "/v1.0/flows"), ("PUT", f"/v1.0/flows/{created.id}")]


async def test_several_flows_of_a_name_are_left_alone() -> None:
    async with FlowService() as service:
        first, second = service.add("menu"), service.add("menu")
        with pytest.raises(PeerError, match=f"there are 2 flows named menu: {first}, {second}; give another name"):
            await store_flow(service.api, TOKEN, "menu", "", ACTIONS)
        assert {method for method, _ in service.asked} == {"GET"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=403, text='{"message":\n"no"}'), 'refused with 403: the token may not do this.*"no"'),
        (web.Response(status=429), "refused with 429: too many requests"),
        (web.Response(status=302, headers={"Location": "/"}), "refused with 302: check the flow"),
        (web.Response(text="<p>"), "the platform's answer is not a JSON object"),
        (web.Response(text='{"result": 1}'), "list of flows cannot be understood"),
        (web.Response(text='{"result": [{"name": "menu"}]}'), "has no id of a flow"),
    ],
)
async def test_answers_that_are_wrong(answer: web.Response, why: str) -> None:
    async with FlowService() as service:
        service.answer = answer
        with pytest.raises(PeerError, match=why):
            await store_flow(service.api, TOKEN, "menu", "", ACTIONS)


async def test_no_error_shows_the_credential() -> None:
    async with FlowService() as service:
        wrong = Credential("voipbin.token", "token", "wr0ng")
        with pytest.raises(PeerError) as caught:
            await store_flow(service.api, wrong, "menu", "", ACTIONS)
        told = str(caught.value)
    assert told.startswith("refused with 401: the token is not accepted: check that voipbin.token is valid")
    assert "wr0ng" not in told
    with pytest.raises(PeerError) as caught:
        await store_flow("http://127.0.0.1:1/v1.0", wrong, "menu", "", ACTIONS)
    assert str(caught.value) == "cannot connect: Connection refused: check voipbin.api"


async def test_an_address_is_reached_or_not() -> None:
    async with FlowService() as service:
        port = int(service.api.split(":")[2].partition("/")[0])
        reached, line = await probe_address("127.0.0.1", port)
        assert reached
        assert line.startswith(f"127.0.0.1:{port}: reached from here in ")
    assert await probe_address("127.0.0.1", 1) == (False, "127.0.0.1:1: cannot be reached: Connection refused")
    assert await probe_address("::1", 1) == (False, "[::1]:1: cannot be reached: Connection refused")
    reached, line = await probe_address("a..b", 1)
    assert not reached
