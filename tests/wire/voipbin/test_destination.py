"""Destinations of transfers: what names one, and the actions that lead there."""

import pytest

from mediaserver.wire.voipbin.destination import Destination

ID = "0123abcd-0000-4000-8000-00000000000F"


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        (
            "+49 (30) 123-456",
            [{"type": "connect", "option": {"destinations": [{"type": "tel", "target": "+4930123456"}]}}],
        ),
        (
            "tel:+4930123456",
            [{"type": "connect", "option": {"destinations": [{"type": "tel", "target": "+4930123456"}]}}],
        ),
        (
            "sip:a@b.example",
            [{"type": "connect", "option": {"destinations": [{"type": "sip", "target": "a@b.example"}]}}],
        ),
        (
            "sip:a@b.example:5061",
            [{"type": "connect", "option": {"destinations": [{"type": "sip", "target": "a@b.example:5061"}]}}],
        ),
        (
            "extension:100",
            [{"type": "connect", "option": {"destinations": [{"type": "extension", "target": "100"}]}}],
        ),
        (
            f"agent:{ID}",
            [{"type": "connect", "option": {"destinations": [{"type": "agent", "target": ID.lower()}]}}],
        ),
        (f"queue:{ID}", [{"type": "queue_join", "option": {"queue_id": ID.lower()}}]),
        (f"conference:{ID}", [{"type": "conference_join", "option": {"conference_id": ID.lower()}}]),
    ],
)
def test_where_a_text_leads(text: str, actions: list[dict]) -> None:
    assert list(Destination.parse(text).actions()) == actions


def test_the_number_that_is_shown() -> None:
    (action,) = Destination.parse("+4930123456").actions("+15551234")
    assert action["option"]["source"] == {"type": "tel", "target": "+15551234"}
    assert Destination.parse(f"queue:{ID}").actions("+15551234") == Destination.parse(f"queue:{ID}").actions()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "should be a destination: tel:+4930123456, sip:sales@example.com, extension:100, agent:<id>"),
        ("4930123456", "should be a destination: tel:"),
        ("fax:+4930123456", "should be a destination: tel:"),
        ("tel:030123456", "tel: should be followed by a number with its country code, such as tel:+4930123456"),
        ("+49", "tel: should be followed by a number with its country code"),
        ("tel:+٤٩٣٠١٢٣٤٥٦", "tel: should be followed by a number with its country code"),
        ("queue:sales", "queue: should be followed by a UUID, such as queue:<id>"),
        ("sip:sales", "sip: should be followed by a name, such as sip:sales@example.com"),
        ("extension:${secret}", "extension: should be followed by a name, such as extension:100"),
    ],
)
def test_what_is_no_destination(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="should be") as error:
        Destination.parse(text)
    assert str(error.value).startswith(why)
