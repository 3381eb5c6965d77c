"""Playout: decodes sound files, keeps the prompt library, makes frames of audio and sends them on time.

The package does not import the modules of calls, handlers or routes.
"""
