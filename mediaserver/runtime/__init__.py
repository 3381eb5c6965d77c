"""The composition root: everything that streams need, put together, and the registry of streams in progress.

Serves streams that peers dial and streams that we dial alike. Must not know of listeners or of HTTP requests.
"""
