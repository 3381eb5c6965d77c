"""The messages between the STT engine `pocketsphinx` and its worker processes.

The headers of messages have their own module, so that the worker process does not import the engine's module, and
the serving process does not import the worker's module, which loads PocketSphinx.
"""

import struct

AUDIO = struct.Struct(">I")  # to the worker: the size in bytes of the PCM that follows; 0 ends the utterance
RESULT = struct.Struct(">?I")  # from the worker: whether it is the final result; the size of the JSON that follows
