"""Inbound media: the caller's audio, digits and utterances, and a monitor that finds problems with them."""
