"""What comes from the caller: audio, digits and utterances, and whether it arrives as it should."""
