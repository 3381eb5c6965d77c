"""Parts that several handlers share: files that they write, spoken prompts (TTS), and transcription (STT)."""
