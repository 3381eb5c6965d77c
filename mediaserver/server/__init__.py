"""The aiohttp shell: listeners, upgrades, and what belongs to HTTP."""
