"""The engines of one server: which of them are reported as not ready, and as unhealthy."""

from collections.abc import AsyncIterator

import pytest

from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.service import SpeechService

LOCAL, SERVER = EngineRequirement(EngineKind.STT, ("pocketsphinx",)), EngineRequirement(EngineKind.STT, ("vosk",))
BOTH = EngineRequirement(EngineKind.STT, ("pocketsphinx", "vosk"))
STARTING = "recognition engine pocketsphinx is starting"


@pytest.fixture
async def speech() -> AsyncIterator[SpeechService]:
    """Engines that are not started: pocketsphinx is one that has to be, vosk is not."""
    made = SpeechService(recognition=RecognitionSettings(engine=("vosk",)))
    yield made
    await made.close()


async def test_a_list_of_engines_is_ready_where_one_of_them_is(speech: SpeechService) -> None:
    assert speech.not_ready_reasons([LOCAL]) == [STARTING]
    assert speech.not_ready_reasons([SERVER]) == []
    assert speech.not_ready_reasons([BOTH]) == []
    assert speech.not_ready_reasons([BOTH, LOCAL]) == [STARTING]  # another path has no other engine
    assert speech.not_ready_reasons([EngineRequirement(EngineKind.LLM)]) == []


async def test_engines_that_paths_need_are_reported_from_the_start(speech: SpeechService) -> None:
    assert speech.engine_health == {}
    speech.preload([SERVER, EngineRequirement(EngineKind.STT), EngineRequirement(EngineKind.LLM)])
    assert speech.engine_health == {("recognition", "vosk"): True, ("chat", "openai"): True}
    assert speech.engine_failures == {("recognition", "vosk"): 0, ("chat", "openai"): 0}


async def test_an_engine_that_is_not_ready_is_not_healthy(speech: SpeechService) -> None:
    speech.preload([SERVER])
    attempts = speech._failovers[EngineKind.STT].attempts(("pocketsphinx",), 1.0)
    with next(iter(attempts)):
        pass
    assert speech.engine_health == {("recognition", "vosk"): True, ("recognition", "pocketsphinx"): False}
