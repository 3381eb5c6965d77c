"""Detection of speech, of noise floors and of echo."""
