"""The composition root makes all objects that streams need, and keeps the registry of streams in progress.

The package serves streams that peers dial and streams that the server dials alike. It must not import the modules
of listeners or of HTTP requests.
"""
