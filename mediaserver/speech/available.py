"""What is missing for the engines that paths need, so that it is known before a call comes."""

from mediaserver.settings.speech import RecognitionSettings
from mediaserver.speech.engines import RECOGNITION_PROBLEMS
from mediaserver.speech.service import Need


def lacking(need: Need, recognition: RecognitionSettings) -> str:
    """Why an engine cannot be used, "" where it can, as far as is known without asking it."""
    if need.kind != "recognition":
        return ""
    problem = RECOGNITION_PROBLEMS.get(need.engine or recognition.engine)
    return problem(recognition, need.language or recognition.language) if problem is not None else ""
