"""Parts that several handlers share: the files that handlers write, spoken prompts (TTS), transcription (STT)."""
