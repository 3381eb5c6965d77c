"""Speech to text (STT, ASR): engines that recognise what callers say, an utterance at a time."""
