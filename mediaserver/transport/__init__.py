"""One peer's connection: a WebSocket that is served or dialled. Knows bytes, frames and ends, and no call."""
