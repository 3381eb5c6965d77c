"""Speech engines: text to speech (TTS), speech to text (STT, also ASR) and large language models (LLM).

`service.py` gives a call the engines of its server; `tts/`, `stt/` and `llm/` each hold an interface and its
engines; `text/` normalises numbers, money and dates to words; `engines/` is what engines share. The package knows
nothing of calls, handlers or transports.

This module imports nothing, because every worker process of an engine imports it first, and must start quickly.
"""
