"""The load: many paced listeners of one server in one cheap process, and what they saw of it."""
