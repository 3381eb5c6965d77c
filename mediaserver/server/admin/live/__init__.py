"""Requests to the admin port that last: events, levels, and the sound of calls."""
