"""Settings of decoding that are handed to the decoder processes. The module imports nothing that loads slowly."""

import json
from typing import NamedTuple


class Conditioning(NamedTuple):
    """How prompts are conditioned once they are decoded; other sound files, such as recordings, are not."""

    loudness: float | None = None  # active speech level in dBov (ITU-T P.56), None for the file's own
    trim_silence: bool | float = False  # whether to trim, or the dBov up to which a sound is silence

    def dump(self) -> str:
        """The settings as one text, which `load` reads. It is a part of the fingerprint of decoded files."""
        return json.dumps(self)

    @staticmethod
    def load(text: str) -> "Conditioning":
        """The settings that `dump` wrote."""
        return Conditioning(*json.loads(text))
