"""Benchmarks: how fast, how steady and how small the server is. README.md in this folder explains the figures."""
