"""The messages between the STT engine `pocketsphinx` and its worker processes.

They have their own module, because the worker must not import what the engine imports, nor the engine what the
worker imports.
"""

import struct

AUDIO = struct.Struct(">I")  # to the worker: the size in bytes of the PCM that follows; 0 ends the utterance
RESULT = struct.Struct(">?I")  # from the worker: whether it is the final result; the size of the JSON that follows
