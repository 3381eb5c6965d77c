"""Spoken texts under virtual time: whose texts wait for others, and which of them are alike."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from mediaserver.call import Stream
from mediaserver.handlers.common.spoken_prompt import spoken_values
from mediaserver.handlers.playback import Playback
from mediaserver.handlers.say import Say
from mediaserver.speech.engines.table import TTS_ENGINES
from mediaserver.speech.text.template import Template
from tests.call.caller import Caller
from tests.handlers.assistant.scripted import ScriptedSynthesiser
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

NAMED = {"name": "Bob"}


@pytest.mark.parametrize("untrusted", [True, False])
@pytest.mark.parametrize(
    ("settings", "query", "by_peer"),
    [
        ({"text": "Hello."}, {}, False),
        ({"text": "Hello."}, {"other": "1"}, False),
        ({"text_from_url": True}, {"text": "Hello."}, True),
        ({"text": "Bye.", "text_from_url": True}, {"text": "Hello."}, True),
        ({"text": "{word}."}, {"word": "Hello"}, True),
        ({"text": "Hello.", "language": "en"}, {"language": "en"}, True),
    ],
)
@in_virtual_time
async def test_what_an_untrusted_peer_has_written_is_spoken_after_all_other_texts(
    loop: VirtualLoop,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    query: Mapping[str, str],
    by_peer: bool,
    untrusted: bool,
) -> None:
    """The engine speaks one sentence at a time. It speaks another text already, and a third one comes later."""
    synthesiser = ScriptedSynthesiser()
    synthesiser.slow = 0.1
    monkeypatch.setitem(TTS_ENGINES, "hibari", lambda settings, http: synthesiser)
    stream = Stream("id", "/say", "peer", query=query, route="/say", untrusted=untrusted)
    caller = Caller(loop, library_of(), stream=stream)
    speech = caller.session.call.speech
    others = [speech.say("First.")]
    await asyncio.sleep(0.01)  # it is being spoken
    handler = Say.model_validate(settings | {"linger_ms": 0})
    await caller.call(handler.run, 2000, (20, lambda: others.append(speech.say("Last."))))
    last = untrusted and by_peer
    assert synthesiser.asked == ["First.", *(["Last.", "Hello."] if last else ["Hello.", "Last."])]
    await speech.close()


@pytest.mark.parametrize(
    ("values", "string"),
    [
        ({}, ""),
        ({"a": "1"}, "a=1"),
        ({"b": "2", "a": "1", "other": "3"}, "a=1\0b=2"),
    ],
)
def test_texts_are_told_apart_by_the_values_of_their_variables(values: Mapping[str, str], string: str) -> None:
    texts = [Template.parse(text) for text in ("{a} and {b}.", "No variable.", "{a} again.")]
    assert spoken_values(texts, values) == string


def test_the_text_of_a_url_or_the_values_in_texts_are_what_is_spoken_for_it() -> None:
    say = Say.model_validate({"text": "Hello {name}.", "text_from_url": True})
    assert say.spoken_url_text({}, {"text": "Hi {name}.", "name": "Bob"}) == "Hi {name}."
    assert say.spoken_url_text({"name": "Eve"}, NAMED) == "name=Eve"
    assert Say.model_validate({"text_from_url": True}).spoken_url_text({}, NAMED) == ""
    prompts = ["a", {"say": "Hello {name}."}, {"say": "Now {position}."}]
    playback = Playback.model_validate({"prompts": prompts})
    assert playback.spoken_url_text({"position": "3"}, NAMED | {"position": "4"}) == "name=Bob\0position=3"
