"""Hang-up and transfer of calls whose media streams we dialled: what VoIPBIN is asked, and what cannot be."""

import uuid
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver.client.platform_control import PlatformControl
from mediaserver.client.voipbin import Platform
from mediaserver.config.settings import VoipbinSettings
from mediaserver.errors import CallControlError
from mediaserver.wire.voipbin.destination import Destination
from tests.client.attached import desk
from tests.twin import Twin

PATHS = """
[flows]
source = "+4930999"
[paths."/hang-up"]
handler = "tone"
tone = "!440/100"
then = "hangup"
[paths."/once"]
handler = "tone"
tone = "!440/100"
[paths."/transfer"]
handler = "menu"
menus.main.keys.1 = { hangup = true }
menus.main.retries = 0
menus.main.timeout = 0.1
menus.main.on_timeout = { transfer = "tel:+4930123456" }
"""
OTHER = "10000000-0000-4000-8000-000000000000"


async def test_a_call_is_hung_up_and_a_conference_is_not(tmp_path: Path, twin: Twin) -> None:
    call, conference = twin.call(), twin.conference()
    async with desk(tmp_path, twin, PATHS) as office:
        for resource, path in (
            (f"calls/{call.id}", "/hang-up"),
            (f"conferences/{conference.id}", "/hang-up"),
            (f"calls/{twin.call().id}", "/once"),
        ):
            end = await (await office.attach(resource, path)).end()
            assert end.reason == "finished"
    assert twin.posted == [(f"/v1.0/calls/{call.id}/hangup", None)]
    assert call.state == "hangup"


async def test_the_caller_of_a_conference_is_transferred(tmp_path: Path, twin: Twin) -> None:
    conference = twin.conference()
    async with desk(tmp_path, twin, PATHS) as office:
        await (await office.attach(f"conferences/{conference.id}", "/transfer")).end()
    ((path, body),) = twin.posted
    assert path == "/v1.0/calls"
    (action,) = body["actions"]
    assert uuid.UUID(action.pop("id"))
    assert body == {
        "source": {"type": "tel", "target": "+4930999"},
        "destinations": [{"type": "tel", "target": "+4930123456"}],
        "actions": [{"type": "conference_join", "option": {"conference_id": conference.id}}],
    }


async def test_a_call_in_no_conference_is_hung_up_in_place_of_a_transfer(tmp_path: Path, twin: Twin) -> None:
    call = twin.call()
    with capture_logs() as logs:
        async with desk(tmp_path, twin, PATHS) as office:
            await (await office.attach(f"calls/{call.id}", "/transfer")).end()
    assert twin.posted == [(f"/v1.0/calls/{call.id}/hangup", None)]
    (line,) = (line for line in logs if line["event"] == "call control failed")
    assert line["why"].startswith("the call cannot be transferred on its media stream")


@pytest.mark.parametrize(
    ("statuses", "posted", "why"),
    [
        ([429, 429], 1, ""),
        ([429, 429, 429], 0, "VoIPBIN answers 429"),
        ([500], 0, "VoIPBIN answers 500"),
        ([404], 0, ""),
    ],
)
async def test_what_voipbin_refuses(
    tmp_path: Path, twin: Twin, statuses: list[int], posted: int, why: str
) -> None:
    """A call that is not there any more is hung up."""
    twin.refuse_posts += statuses
    with capture_logs() as logs:
        async with desk(tmp_path, twin, PATHS, more="dial_rate = 100") as office:
            await (await office.attach(f"calls/{twin.call().id}", "/hang-up")).end()
    assert len(twin.posted) == posted
    failed = [line["why"] for line in logs if line["event"] == "call control failed"]
    assert failed == [why] * bool(why)
    assert "t0ken" not in str(logs)


async def test_without_an_answer_the_credential_is_in_no_message(tmp_path: Path) -> None:
    platform = Platform(
        lambda: VoipbinSettings.model_validate({"api": "http://127.0.0.1:1/v1.0", "token": "t0ken"})
    )
    try:
        with pytest.raises(Exception, match="cannot connect") as error:
            await platform.post("calls")
    finally:
        await platform.close()
    assert "t0ken" not in str(error.value)


@pytest.mark.parametrize(
    ("resource", "destination", "why"),
    [
        (
            "calls/1",
            Destination("tel", "+1555123"),
            "the call cannot be transferred on its media stream:",
        ),
        (
            "conferences/1",
            Destination("queue", OTHER),
            "a caller in a conference cannot be transferred to",
        ),
        (
            "conferences/1",
            ({"type": "hangup"},),
            "the call cannot be given actions on a stream",
        ),
    ],
)
def test_what_the_api_cannot_do(resource: str, destination: Destination | tuple, why: str) -> None:
    control = PlatformControl(Platform(VoipbinSettings), resource, "")
    with pytest.raises(CallControlError) as error:
        control.lead_to(destination)
    assert str(error.value).startswith(why)
