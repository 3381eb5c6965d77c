"""Large language models (LLM): the client of a chat model, and the filter that removes the model's reasoning."""
