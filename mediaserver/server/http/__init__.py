"""The listener for media: HTTP, its limits and TLS, the handshake of a WebSocket, and the refusals."""
