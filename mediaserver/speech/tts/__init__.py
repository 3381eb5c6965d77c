"""Text to speech (TTS): the engines that synthesise speech, and the cache of synthesised sentences.

A text is split into sentences. Each sentence is synthesised by itself. All calls that speak a sentence share its
audio.
"""
