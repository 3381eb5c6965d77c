"""The messages between the STT engine `pocketsphinx` and its worker processes.

The message headers have a module of their own, so that the worker process does not import the engine's module,
and the serving process does not import the worker's module, which loads PocketSphinx.
"""

import struct

# The header of a message to the worker: the size in bytes of the PCM that follows; 0 ends the utterance.
AUDIO = struct.Struct(">I")
# The header of a worker's result: whether the result is final, and the size in bytes of the JSON that follows.
RESULT = struct.Struct(">?I")
