"""The terminal side of `mediaserver simulate`: view and tables, a keyboard as a telephone's keys, and sound."""
