"""What is said and what is heard, in words: engines that speak, recognise and think, each behind one interface."""

from mediaserver.speech.service import Need, Speech, problem, sentences_of, voice_of
from mediaserver.speech.spoken import Spoken
from mediaserver.speech.synthesis import Voice

__all__ = ["Need", "Speech", "Spoken", "Voice", "problem", "sentences_of", "voice_of"]
