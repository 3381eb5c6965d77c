"""Code that TTS, STT and LLM engines share: the HTTP client, worker processes, and tables of engines by name."""
