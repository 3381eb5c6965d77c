"""What is said and what is heard, in words: engines that speak, recognise and think, each behind one interface."""

from mediaserver.speech.available import Need, lacking
from mediaserver.speech.service import Speech, sentences_of
from mediaserver.speech.spoken import Spoken
from mediaserver.speech.synthesis import Voice, voice_of

__all__ = ["Need", "Speech", "Spoken", "Voice", "lacking", "sentences_of", "voice_of"]
