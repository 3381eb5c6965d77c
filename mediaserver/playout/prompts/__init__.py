"""The prompts: a folder of sound files, known by name, encoded once for each wire, reloaded when a file changes.

The package knows nothing of calls, paths or handlers, which look prompts up in a `PromptSnapshot`.
"""
