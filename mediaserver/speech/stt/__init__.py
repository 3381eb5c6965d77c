"""Speech to text (STT), also automatic speech recognition (ASR): engines that recognise what a caller says.

An engine is given one utterance at a time. The package `mediaserver.call.inbound` decides where an utterance
begins and ends (endpointing).
"""
