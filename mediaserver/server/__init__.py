"""The server: listeners, what belongs to their protocols, reload, drain and shutdown.

`http` and `audiosocket` accept media streams, `admin` the operator's requests. Must not know what a handler plays.
"""
