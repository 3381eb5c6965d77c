"""What the whole house stands on: logs, metrics, child processes, stores on disk. Knows nothing of calls."""
