"""Two diagrams of the server: the server between its peers, and the parts of the server that a call passes."""

from scripts.pictures.diagrams.shapes import Arrow, Box, Diagram, Frame, Kind

_CARRIED = "WebSocket, or\nAudioSocket over TCP:\na frame every 20 ms"


def overview() -> Diagram:
    """The diagram of the server between VoIPBIN, the user's own services, and the prompts."""
    caller = Box("caller", 16, 50, 76, 50, Kind.OTHERS)
    voipbin = Box("VoIPBIN\nflow: external_media_start", 130, 50, 206, 50, Kind.OTHERS)
    yours = Box("your webhooks, bot,\nTTS, STT and LLM engines", 130, 170, 206, 50, Kind.OTHERS)
    wire = Box("wire format, pacing", 526, 50, 160, 50)
    handler = Box("handler of the path:\nplayback, menu,\nrecord, …", 526, 160, 160, 70)
    prompts = Box("prompts/", 724, 160, 84, 70, Kind.STORE)
    return Diagram(
        "A call through the server",
        "A caller talks with VoIPBIN, where the flow has the action external_media_start. VoIPBIN and "
        "mediaserver exchange a frame every 20 ms over WebSocket or AudioSocket over TCP. In mediaserver, wire "
        "format and pacing stand between VoIPBIN and the handler of the path (playback, menu, record and "
        "others). The handler plays from prompts/, and talks with your webhooks, bot, and TTS, STT and LLM "
        "engines.",
        840,
        260,
        [caller, voipbin, yours, wire, handler, prompts],
        [
            Arrow([caller.right(), voipbin.left()], both=True),
            Arrow([voipbin.right(), wire.left()], _CARRIED, part=0.45, both=True),
            Arrow([wire.bottom(), handler.top()], both=True),
            Arrow([prompts.left(), handler.right()]),
            Arrow([handler.left(), yours.right()], both=True),
        ],
        [Frame("mediaserver", 508, 12, 318, 236)],
    )


def parts() -> Diagram:
    """The diagram of the parts of the server that a call passes."""
    peer = Box("VoIPBIN or\nAsterisk", 14, 140, 96, 50, Kind.OTHERS)
    engines = Box("TTS, STT:\nprocesses or servers", 494, 14, 152, 46, Kind.OTHERS)
    transport = Box("transport", 210, 120, 86, 160)
    wire = Box("wire:\nencapsulation,\nframing, codec", 334, 120, 116, 66)
    call = Box("call: receiver,\nkeypad,\nendpointing", 556, 120, 116, 66)
    handler = Box("handler", 712, 120, 80, 160)
    pacer = Box("pacer:\nqueue of sources", 430, 230, 140, 50)
    ticker = Box("ticker: 20 ms", 340, 324, 110, 50)
    prompts = Box("prompt store", 500, 318, 112, 56, Kind.STORE)
    events = Box("events,\nwebhooks", 712, 324, 80, 50)
    decoders = Box("decoder processes", 486, 422, 140, 34)
    backend = Box("your backend", 700, 422, 104, 34, Kind.OTHERS)
    return Diagram(
        "The parts that a call passes",
        "VoIPBIN or Asterisk and the transport exchange messages over WebSocket or TCP. In the serving process, "
        "the transport and the wire (encapsulation, framing, codec) exchange them, and the wire gives events "
        "(audio, digits) to the call (receiver, keypad, endpointing). The call and the handler talk with each "
        "other, and the call with TTS and STT engines, which are processes or servers. The handler plays by the "
        "pacer, a queue of sources. The ticker drives the pacer every 20 ms, and the pacer's messages go to the "
        "transport. Prompts come from the prompt store, which decoder processes fill. The handler's events go, "
        "as webhooks, to your backend.",
        820,
        470,
        [peer, engines, transport, wire, call, handler, pacer, ticker, prompts, events, decoders, backend],
        [
            Arrow([peer.right(), transport.left(0.28125)], "WebSocket,\nTCP", both=True, part=0.43),
            Arrow([transport.right(33 / 160), wire.left()], both=True),
            Arrow([wire.right(), call.left()], "events:\naudio, digits"),
            Arrow([call.right(), handler.left(33 / 160)], both=True),
            Arrow([engines.bottom(), call.top(14 / 116)], both=True),
            Arrow([handler.left(135 / 160), pacer.right()], "play"),
            Arrow([pacer.left(), transport.right(135 / 160)], "messages"),
            Arrow([ticker.top(100 / 110), pacer.bottom(10 / 140)]),
            Arrow([prompts.top(), pacer.bottom(126 / 140)]),
            Arrow([handler.bottom(), events.top()]),
            Arrow([decoders.top(), prompts.bottom()]),
            Arrow([events.bottom(), backend.top()]),
        ],
        [Frame("the serving process", 196, 80, 610, 310)],
    )
