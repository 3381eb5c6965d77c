"""VoIPBIN's flow engine, simulated, and the flows that users paste into VoIPBIN.

`actions`, `stacks`, `media` and `engine` are sans-I/O: actions, keys and the time come in, commands come out. What
they do was read in the platform's public code. `call` runs a flow with real sockets, and `earpiece` joins what the
caller hears. `builder` writes flows, and `api` creates them at the platform.
"""
