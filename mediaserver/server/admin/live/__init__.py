"""Requests to the admin port whose answers go on for long: events, levels, and the sound of calls."""
