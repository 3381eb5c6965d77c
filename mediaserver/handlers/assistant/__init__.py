"""The `assistant` handler: a voice assistant, which converses with the caller turn by turn.

The VAD endpoints the caller's utterance, STT transcribes it, an LLM answers, and TTS speaks the answer sentence by
sentence. The package uses the interfaces of these engines, and must not know any engine itself.
"""

from mediaserver.handlers.assistant.handler import Assistant

__all__ = ["Assistant"]
