"""What settings are, and what is said of those that are none."""
