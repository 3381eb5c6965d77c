"""What is played, and when: decoded sound files, the prompt library, sources of frames, and their pacer.

Knows nothing of calls, handlers or routes.
"""
