"""Large language models (LLM): what an assistant's chat model is asked, and its answer as it streams in."""
