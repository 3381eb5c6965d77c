"""Speech to text (STT), also automatic speech recognition (ASR): engines that recognise what a caller says.

An engine is given one utterance at a time. Where an utterance begins and ends (endpointing) is decided elsewhere.
"""
