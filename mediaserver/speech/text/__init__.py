"""Numbers, money, dates and codes in the words a person would say: text normalisation for TTS. No I/O."""
