"""VoIPBIN's flow engine, simulated, and the flows that users paste into VoIPBIN.

A flow is a list of actions that VoIPBIN (the platform) executes for a call. The modules `actions`, `stacks`,
`media` and `engine` are sans-I/O: they take actions, keys and the time, and return commands. They imitate the
platform's public code. `call` runs a flow with real sockets, and `earpiece` mixes the audio that the caller hears.
`builder` writes flows, and `api` creates them at the platform.
"""
