"""What is played, and when: decoded sound files, the prompt library, sources of frames, and their pacer.

The package knows nothing of calls, handlers or routes.
"""
