"""What `pocketsphinx` and its processes say to each other."""

import struct

SOUND = struct.Struct(">I")  # bytes of PCM that follow; 0 ends the utterance
ANSWER = struct.Struct(">?I")  # whether it is the last one to an utterance, and the bytes of JSON that follow
