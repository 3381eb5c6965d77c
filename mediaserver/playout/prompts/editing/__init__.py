"""Changes of prompts by requests: files are received and checked, renamed and removed, and old versions are kept.

The package changes files of the prompt folder, and has the library load them. It does not know who asks, nor how.
"""
