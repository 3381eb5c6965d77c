"""Speech: what is said, and the engines that say it."""
