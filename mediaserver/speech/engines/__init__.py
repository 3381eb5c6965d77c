"""What TTS, STT and LLM engines share: HTTP, worker processes, and the table of the engines that there are."""
