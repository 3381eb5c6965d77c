"""Draws the pictures of `docs/pictures`: timelines of calls, and diagrams of the server.

The calls, a menu and a voice bot that is interrupted, run the server's own code under virtual time, with the
shipped prompts and without a network. Each picture therefore shows what the server does to the frame, on every
machine.

    python -m scripts.pictures

`scripts.pictures.console` takes pictures of the console in a real browser. `scripts.pictures.dashboard` draws the
Grafana dashboard with the data of a run under load.
"""
