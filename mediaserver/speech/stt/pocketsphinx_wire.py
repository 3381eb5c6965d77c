"""The messages between the STT engine `pocketsphinx` and its worker processes.

The headers of messages have their own module, so that the worker process does not import the engine's module, and
the serving process does not import the worker's module, which loads PocketSphinx.
"""

import struct

# A header to the worker: the size in bytes of the PCM that follows; 0 ends the utterance.
AUDIO = struct.Struct(">I")
# A header from the worker: whether a result is final, and the size in bytes of its JSON, which follows.
RESULT = struct.Struct(">?I")
