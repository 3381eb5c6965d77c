"""The prompts: a folder of sound files known by name, encoded once for each wire, taken in anew on a change."""
