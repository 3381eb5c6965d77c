"""Text to speech (TTS): engines that speak, and what they have said, sentence by sentence, shared and kept."""
