"""Speech engines: text to speech (TTS), speech to text (STT, also ASR) and large language models (LLM).

`service.py` holds the engines of one server, which all of its calls share. `tts/`, `stt/` and `llm/` contain the
engines, one folder for each kind. `text/` puts numbers, money and dates into words. `engines/` contains code that
several engines use. The package does not depend on calls, handlers or transports.

This module imports nothing, because each worker process of an engine imports it first, and has to start quickly.
"""
