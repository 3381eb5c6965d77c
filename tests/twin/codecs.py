"""G.711 by an independent hand (audioop), and the formats of a channel by the names that Asterisk gives them."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import audioop

__all__ = ["CODECS", "RATES", "audioop", "coded", "decode", "encode", "pcm_bytes", "wire_bytes"]

CODECS = ("ulaw", "alaw", "slin")  # what a media_stream may carry to the client
RATES = {
    **dict.fromkeys(CODECS, 8_000),
    "slin12": 12_000,
    "slin16": 16_000,
    "slin24": 24_000,
    "slin32": 32_000,
    "slin48": 48_000,
}


def encode(pcm: bytes, codec: str) -> bytes:
    """Linear 16-bit PCM as this codec's payload."""
    match codec:
        case "ulaw":
            return audioop.lin2ulaw(pcm, 2)
        case "alaw":
            return audioop.lin2alaw(pcm, 2)
    return _linear(pcm, codec)


def decode(payload: bytes, codec: str) -> bytes:
    """The PCM of a payload, at the codec's own rate."""
    match codec:
        case "ulaw":
            return audioop.ulaw2lin(payload, 2)
        case "alaw":
            return audioop.alaw2lin(payload, 2)
    return _linear(payload, codec)


def coded(pcm: bytes, codec: str = "ulaw") -> bytes:
    """PCM as an exact receiver has it: encoded and decoded. Silence is 0 in µ-law and slin, but 8 in A-law."""
    return decode(encode(pcm, codec), codec)


def pcm_bytes(codec: str, ms: int = 20) -> int:
    """The size of a frame as linear PCM."""
    return RATES[codec] * 2 * ms // 1000


def wire_bytes(codec: str, ms: int = 20) -> int:
    """The size of a frame's payload; Asterisk calls it the optimal frame size."""
    return pcm_bytes(codec, ms) // (2 if codec in ("ulaw", "alaw") else 1)


def _linear(pcm: bytes, codec: str) -> bytes:
    if codec not in RATES:
        raise ValueError(f"no such codec: {codec}")
    return pcm
