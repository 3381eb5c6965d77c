"""What TTS, STT and LLM engines share: HTTP, worker processes, and the table of engines by their names."""
