"""The terminal side of `mediaserver simulate`: view and tables, the keyboard as a telephone's keys, and sound."""
