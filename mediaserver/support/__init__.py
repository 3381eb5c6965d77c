"""What all rooms need and no telephony is in: logs, metrics, secrets, URLs, a disk store, child processes.

The room knows errors alone: no settings, no calls, no events.
"""
