"""The prompts: sound files of one folder, known by name, encoded once per wire format, reloaded when they change.

The package does not import the modules of calls, paths or handlers. They look prompts up in a `PromptSnapshot`.
"""
