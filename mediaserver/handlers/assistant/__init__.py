"""The `assistant` handler: a voice assistant. Its settings, and the conversation, turn by turn.

A turn is endpointed by the VAD, transcribed by STT, answered by an LLM, and spoken by TTS sentence by sentence.
The package knows the interfaces of these engines, and no engine itself.
"""

from mediaserver.handlers.assistant.handler import Assistant

__all__ = ["Assistant"]
