"""What is heard, and when: the prompt library, sources of frames, and the clock that paces them."""
