"""The language of VoIPBIN's flows, sans-I/O: actions, destinations of transfers, rounds that bring keys.

A flow is a list of actions that VoIPBIN executes one after another. The action `fetch` asks a URL for the actions
that come next. The facts were read in the platform's public code.
"""
