"""Spoken texts under virtual time: whose texts wait for others, and which of them are alike."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mediaserver.call import Stream
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import PromptError
from mediaserver.handlers.common.spoken_prompt import SpokenPrompt, VoiceSettings, spoken_values
from mediaserver.handlers.playback import Playback
from mediaserver.handlers.say import Say
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
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


@pytest.mark.parametrize(
    ("own", "path", "filled_in"),
    [
        ({}, {}, ("", None, "", None)),
        ({}, {"voice": "emma", "rate": 0.9, "language": "de"}, ("emma", 0.9, "de", None)),
        (
            {"voice": "kore", "rate": 1.5, "language": "en"},
            {"voice": "emma", "rate": 0.9, "language": "de", "engine": "openai"},
            ("kore", 1.5, "en", ("openai",)),
        ),
        # A voice is of its engine: it is filled in where both speak with the same one first.
        ({"engine": "hibari"}, {"voice": "emma"}, ("", None, "", ("hibari",))),
        ({"engine": "hibari"}, {"voice": "emma", "engine": "openai"}, ("", None, "", ("hibari",))),
        (
            {"engine": ["openai", "hibari"]},
            {"voice": "emma", "engine": ["openai", "command"]},
            ("emma", None, "", ("openai", "hibari")),
        ),
        (
            {"engine": ["hibari", "openai"]},
            {"voice": "emma", "engine": ["openai", "hibari"]},
            ("", None, "", ("hibari", "openai")),
        ),
    ],
)
def test_what_a_text_does_not_set_is_the_path_s(
    own: dict[str, Any], path: dict[str, Any], filled_in: tuple[Any, ...]
) -> None:
    prompt = SpokenPrompt.model_validate({"say": "Hello."} | own)
    found = prompt.with_defaults(VoiceSettings.model_validate(path))
    engines = tuple(found.engine) if found.engine is not None else None
    assert (found.voice, found.rate, found.language, engines) == filled_in
    assert f"{found.say}" == "Hello."
    assert found.need == EngineRequirement(EngineKind.TTS, filled_in[3] or (), filled_in[2], filled_in[0])


@pytest.mark.parametrize("say", [7, None, ["a"], {"text": "a"}])
def test_a_text_is_a_string(say: object) -> None:
    with pytest.raises(ValidationError, match="should be a valid string"):
        SpokenPrompt.model_validate({"say": say})


def test_a_text_is_checked_before_calls_come_as_far_as_it_can_be() -> None:
    """A text with variables may be too long or not, and wait for their values."""
    speech = SpeechSettings()
    for say in ("{name}", "Hello."):
        SpokenPrompt.model_validate({"say": say}).prepare(speech)
    long = SpokenPrompt.model_validate({"say": "a" * 1001})
    with pytest.raises(ValueError, match="the text has 1001 characters"):
        long.prepare(speech)
    with pytest.raises(ValueError, match="no value for"):
        SpokenPrompt.model_validate({"say": "{name}"}).validate_values({}, speech)
    SpokenPrompt.model_validate({"say": "{name}"}).validate_values({"name": "Bob"}, speech)


def lengths(sounds: Iterable[Any]) -> list[int]:
    return [sound.samples for sound in sounds]


@in_virtual_time
async def test_recorded_prompts_are_those_of_the_call_or_of_another_snapshot(loop: VirtualLoop) -> None:
    sounds = {"one": np.ones(800, np.int16), "other": np.ones(1600, np.int16)}
    call, later = Caller(loop, library_of(sounds)).session.call, library_of({"one": np.ones(2400, np.int16)})
    playback = Playback.model_validate({"prompts": ["one"], "fallback": "one"})
    assert lengths(playback.render(["one", "other"], call)) == [800, 1600]
    assert lengths(playback.render(["one"], call, prompts=later.snapshot)) == [2400]
    with pytest.raises(PromptError, match='no prompt "other"'):
        playback.render(["other"], call, prompts=later.snapshot)
    no_fallback = Playback.model_validate({"prompts": ["one"], "fallback": "gone"})
    with pytest.raises(PromptError, match='no prompt "gone"'):
        no_fallback.render(["one"], call)
