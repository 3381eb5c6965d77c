"""A twin of VoIPBIN's `media_stream` endpoints, for tests: a real server that behaves as the wire facts say.

It shares no wire code with the product, so that each side holds the other to the facts.
"""

from tests.twin.far_end import PTIME, SILENCE, Pressed, Utterance
from tests.twin.faults import Fate, Faults, oddities, seeded_fates
from tests.twin.stream import TwinStream
from tests.twin.twin import Asked, Call, Conference, Participant, Twin

__all__ = [
    "PTIME",
    "SILENCE",
    "Asked",
    "Call",
    "Conference",
    "Fate",
    "Faults",
    "Participant",
    "Pressed",
    "Twin",
    "TwinStream",
    "Utterance",
    "oddities",
    "seeded_fates",
]
