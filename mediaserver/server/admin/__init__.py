"""The admin listener: health, metrics, and what operators ask and do. Never on the public port."""
