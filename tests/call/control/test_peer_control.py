"""What a peer that understands audio only can be asked for."""

import pytest

from mediaserver.call.control.peer_control import AudioSocketControl, PeerControl
from mediaserver.errors import CallControlError
from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.encapsulation import Framing, WireSettings
from mediaserver.wire.voipbin.destination import Destination
from mediaserver.wire.wire import Wire


def test_a_call_without_a_flow_cannot_be_transferred_nor_given_actions() -> None:
    control = PeerControl()
    for act in (control.require, control.lead_to):
        with pytest.raises(CallControlError, match="cannot be transferred on this stream: that takes a path with"):
            act(Destination.parse("+4930123456"))
        with pytest.raises(CallControlError, match="cannot be given actions on this stream"):
            act([{"type": "stop"}])


def test_what_the_peer_has_queued_cannot_be_dropped() -> None:
    assert PeerControl().flush() is False


def test_a_call_is_answered_from_when_it_is_answered_on() -> None:
    control = PeerControl()
    assert not control.answered
    control.answer()
    assert control.answered


@pytest.mark.parametrize(
    ("framing", "written"), [(Framing.MESSAGE, [websocket.binary(audiosocket.HANGUP)]), (Framing.PCM, [])]
)
def test_a_hang_up_is_a_message_where_there_are_messages(framing: Framing, written: list[bytes]) -> None:
    sent: list[bytes] = []
    AudioSocketControl(Wire(WireSettings(framing=framing)), sent.append).hang_up()
    assert sent == written
