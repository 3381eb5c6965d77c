"""Protocols of applications that a call is bridged to, one file each. Sans-I/O, as all of `wire`."""
