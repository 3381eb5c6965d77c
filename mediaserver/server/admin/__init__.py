"""The admin listener: health, metrics, and the operator's requests about streams. Never on the media port."""
