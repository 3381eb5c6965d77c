"""When frames are sent: one ticker, a pacer a stream, and what becomes of a slow peer. The hot path, no more."""
