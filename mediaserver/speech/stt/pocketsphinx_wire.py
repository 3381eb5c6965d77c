"""The messages between the STT engine `pocketsphinx` and its worker processes.

A module of its own, because the worker must not import what the engine imports, nor the other way round.
"""

import struct

AUDIO = struct.Struct(">I")  # to the worker: the size in bytes of the PCM that follows; 0 ends the utterance
RESULT = struct.Struct(">?I")  # from the worker: whether it is the final result; the size of the JSON that follows
