"""The prompts: a folder of sound files, known by name, encoded once for each wire, reloaded on a change.

Knows nothing of calls, paths or handlers: these look prompts up in a `PromptSnapshot`.
"""
