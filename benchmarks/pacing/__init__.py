"""Measures what a paced frame costs and how evenly frames come, beside a bare loop and a naive server."""
