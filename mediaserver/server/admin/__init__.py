"""The admin listener: health checks, metrics, and the operator's requests about streams, on a port of its own."""
