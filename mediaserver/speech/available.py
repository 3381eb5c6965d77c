"""What is missing for the engines that paths need, so that it is known before a call comes."""

from typing import Literal, NamedTuple

from mediaserver.settings.speech import RecognitionSettings, SpeechSettings
from mediaserver.speech.engines.table import RECOGNITION_PROBLEMS, SYNTHESIS_PROBLEMS


class Need(NamedTuple):
    """An engine that a path needs; without a name, the one that is configured."""

    kind: Literal["speech", "recognition", "chat"]
    engine: str = ""
    language: str = ""  # likewise


def lacking(need: Need, speech: SpeechSettings, recognition: RecognitionSettings) -> str:
    """Why an engine cannot be used, "" where it can, as far as is known without asking it."""
    match need.kind:
        case "speech":
            spoken = SYNTHESIS_PROBLEMS.get(need.engine or speech.engine)
            return spoken(speech, need.language or speech.language) if spoken is not None else ""
        case "recognition":
            heard = RECOGNITION_PROBLEMS.get(need.engine or recognition.engine)
            return heard(recognition, need.language or recognition.language) if heard is not None else ""
    return ""
