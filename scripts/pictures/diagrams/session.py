"""The diagram of the states of a session."""

from scripts.pictures.diagrams.shapes import Arrow, Box, Diagram, Frame, Kind, Point, Side, dot


def states() -> Diagram:
    """The diagram of a session's states, from the connection to its end."""
    connects, attach = dot(26, 37, Kind.BEGIN), dot(26, 117, Kind.BEGIN)
    handshake, refused = _state("Handshake", 340, 20), _state("Refused", 650, 20)
    dialling, starting = _state("Dialling", 86, 100), _state("Starting", 340, 100)
    held, sending, paused = _state("Held", 140, 280), _state("Sending", 380, 280), _state("Paused", 670, 280)
    disconnected = _state("Disconnected", 365, 396, 130)
    closed, draining = _state("Closed", 380, 514), _state("Draining", 670, 514)
    refused_end, closed_end = dot(812, 37, Kind.END), dot(400, 592, Kind.END)
    running = Frame("Running", 124, 204, 672, 246)
    connected = Frame("connected", 132, 236, 656, 120)
    return Diagram(
        "The states of a session",
        "A session begins with Handshake where a peer connects, or with Dialling for attach. Handshake leads to "
        "Refused (no access, no path, no room) or, accepted, to Starting. Dialling leads to Starting once "
        "connected, or to Closed: refused, unreachable. Starting leads to Running when the handler runs, or to "
        "Closed where the peer left or its format is not supported. Running is connected or Disconnected. "
        "Connected, it begins with Sending, or, where we dialled and the peer has not sent sound yet, with Held "
        "until its first sound or start_timeout. Sending is Paused while the peer takes nothing, or from "
        "MEDIA_XOFF to MEDIA_XON. Where we dialled and the connection broke or stalled, the session is "
        "Disconnected, and then Held when connected again. Running leads to Draining when the handler is done, "
        "and Draining to Closed once the far end has played its queue. Running leads to Closed at once when it "
        "stalled, the peer is gone, the time limit is over, the handler failed, or the call was hung up.",
        850,
        612,
        [
            *(connects, attach, refused_end, closed_end),
            *(handshake, refused, dialling, starting),
            *(held, sending, paused, disconnected, closed, draining),
        ],
        [
            Arrow([connects.right(), handshake.left()], "a peer connects"),
            Arrow([attach.right(), dialling.left()], "attach"),
            Arrow([handshake.right(), refused.left()], "no access, no path, no room"),
            Arrow([refused.right(), refused_end.left()]),
            Arrow([handshake.bottom(), starting.top()], "accepted", Side.RIGHT),
            Arrow([dialling.right(), starting.left()], "connected"),
            Arrow(
                [dialling.bottom(0.15), Point(101, 531), closed.left()],
                "refused, unreachable",
                stretch=1,
            ),
            Arrow(
                [starting.right(), Point(828, 117), Point(828, 578), Point(460, 578), closed.bottom(0.8)],
                "the peer left, or its format is not supported",
                stretch=0,
            ),
            Arrow([starting.bottom(0.8), sending.top(0.4)], "the handler runs", Side.RIGHT, part=0.27),
            Arrow(
                [starting.bottom(0.2), Point(360, 178), Point(230, 178), held.top(0.9)],
                "the handler runs; dialled,\nno sound of the peer yet",
                stretch=1,
                part=0.75,
            ),
            Arrow([held.right(), sending.left()], "its first sound,\nor start_timeout"),
            Arrow([sending.right(0.3), paused.left(0.3)], "the peer takes nothing,\nor MEDIA_XOFF"),
            Arrow([paused.left(0.7), sending.right(0.7)], "it takes again,\nor MEDIA_XON", Side.BELOW),
            Arrow(
                [connected.bottom(298 / 656), disconnected.top()],
                "dialled, and the connection\nbroke or stalled",
                Side.RIGHT,
            ),
            Arrow([disconnected.left(), Point(190, 413), held.bottom()], "connected again"),
            Arrow(
                [running.bottom(306 / 672), closed.top()],
                "stalled, peer gone, time limit,\nhandler failed, hung up",
                Side.RIGHT,
            ),
            Arrow([running.bottom(596 / 672), draining.top()], "the handler\nis done", Side.RIGHT),
            Arrow([draining.left(), closed.right()], "the far end has\nplayed its queue", Side.BELOW),
            Arrow([closed.bottom(0.2), closed_end.top()]),
        ],
        [running, connected],
    )


def _state(name: str, x: float, y: float, width: float = 100) -> Box:
    return Box(name, x, y, width, 34, Kind.STATE)
