"""Measures what it costs to hear as well as to play: many two-way streams, beside servers in Python and Go."""
