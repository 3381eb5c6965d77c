"""The terminal's side of `mediaserver simulate`: what is shown, the keyboard as a telephone's keys, and sound."""
