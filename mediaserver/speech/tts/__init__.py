"""Text to speech (TTS): the engines that synthesise, and the cache of the sentences that they have synthesised.

A text is split into sentences, each sentence is synthesised by itself, and is shared by all calls that speak it.
"""
