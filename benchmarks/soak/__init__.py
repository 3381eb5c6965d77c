"""A soak test: a real server under calls that come and go, peers that misbehave, and prompts that change."""
