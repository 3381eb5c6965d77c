"""The pictures of `docs/pictures`: calls over their time, and diagrams of the server.

The calls are real ones under virtual time, with the shipped prompts: a menu, and a voice bot that is interrupted.
Only the network is not there. So each picture shows what the server does, to the frame, whatever the machine.

    python -m scripts.pictures

`scripts.pictures.console` takes pictures of the console in a real browser.
"""
