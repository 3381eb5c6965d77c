"""Helpers that all rooms need, without telephony: logs, metrics, secrets, URLs, a disk store, child processes.

The room knows errors alone: no settings, no calls, no events.
"""
