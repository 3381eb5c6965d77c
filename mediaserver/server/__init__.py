"""The server: its listening ports, the connections that they accept, reload, drain and shutdown.

`http` and `audiosocket` accept media streams; `admin` accepts the operator's HTTP requests. This package must not
know what a handler plays.
"""
