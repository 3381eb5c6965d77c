"""Settings of decoding that are handed to the decoder processes. The module imports nothing that loads slowly."""

import json
from typing import NamedTuple


class Conditioning(NamedTuple):
    """How prompts are conditioned once they are decoded; other sound files, such as recordings, are not."""

    # The active speech level to set in dBov (ITU-T P.56); None keeps the file's level.
    loudness: float | None = None
    # Whether silence is cut off at both ends; a number is the level in dBov up to which sound counts as silence.
    trim_silence: bool | float = False

    def dump(self) -> str:
        """The settings as one text, which `load` reads. It is a part of the fingerprint of decoded files."""
        return json.dumps(self)

    @staticmethod
    def load(text: str) -> "Conditioning":
        """Read the settings from a text that `dump` wrote."""
        return Conditioning(*json.loads(text))
