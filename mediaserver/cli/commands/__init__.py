"""The commands of `mediaserver`, one module each."""
