"""Helpers for all other packages: logs, metrics, secrets, URLs, rate limits, a disk store, child processes.

None of these helpers is about telephony. Of all other modules of the project, the package imports only
`mediaserver.errors`.
"""
