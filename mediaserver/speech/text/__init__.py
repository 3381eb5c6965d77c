"""Text normalisation for TTS: numbers, money, dates and codes in the words that a person would say. No I/O."""
