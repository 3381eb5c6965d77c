"""The extensions of sound files, which of several files of one prompt name is played, and how long a file may be.

The extensions come from Asterisk's file formats (formats/format_*.c and the codecs' file names), and from the
containers that FFmpeg reads.
"""

from typing import NamedTuple


class RawFormat(NamedTuple):
    """The format of files without a header: the file's extension alone says how its samples are encoded."""

    # The codec: "linear" (16-bit little-endian), "mulaw", "alaw", "vox", or the name of an FFmpeg demuxer.
    codec: str
    rate: int = 8000  # sampling rate in Hz
    code_bits: int = 0  # number of bits in each G.726 code; 0 for other codecs


RAW = {
    **{f".{name}": RawFormat("linear") for name in ("pcm", "raw", "sln", "sln8", "slin")},
    **{f".sln{kilohertz}": RawFormat("linear", kilohertz * 1000) for kilohertz in (12, 16, 24, 32, 48, 96, 192)},
    ".sln44": RawFormat("linear", 44_100),
    **{f".{name}": RawFormat("mulaw") for name in ("ulaw", "ul", "mulaw", "mu", "ulw")},
    **{f".{name}": RawFormat("alaw") for name in ("alaw", "al", "alw")},
    ".g722": RawFormat("g722", 16_000),
    # Asterisk packs G.726 codes into bytes as RFC 3551 does: the first code is in the lowest bits.
    **{f".g726-{8 * bits}": RawFormat("g726le", code_bits=bits) for bits in (5, 4, 3, 2)},
    ".vox": RawFormat("vox"),
    ".gsm": RawFormat("gsm"),
    ".g729": RawFormat("g729"),
}
WAVE = {".wav", ".wave", ".wav16", ".wav49"}
_LOSSLESS = (".rf64", ".w64", ".flac", ".aiff", ".aif", ".aifc", ".caf", ".au", ".snd")
_LOSSY = (
    *(".opus", ".ogg", ".oga", ".m4a", ".m4b", ".mp4", ".mov", ".mka", ".mkv", ".webm", ".weba", ".aac", ".wma"),
    *(".mp3", ".mp2", ".awb", ".spx", ".3gp", ".amr"),
)
EXTENSIONS = {*RAW, *WAVE, *_LOSSLESS, *_LOSSY}
# Extensions of sound files that Asterisk or a computer plays, and that this server cannot decode.
UNDECODABLE = {".g723", ".g723sf", ".ilbc", ".lpc10", ".mid", ".midi", ".ra", ".rm", ".siren7", ".siren14"}
LONGEST = 7200.0  # the most seconds of sound in one file: the default of the setting `prompts.longest`

# Kinds of sound files, in order of preference: of several files with one prompt name, the server plays the first.
_PCM_8_KHZ, _G711, _OTHER_LOSSLESS, _OTHER_LOSSY = range(4)
_ORDER = (*sorted(WAVE), *RAW, *_LOSSLESS, *_LOSSY)
_UNKNOWN_RATE = 1 << 32
# The kind of a WAV file by the format code in its header.
_WAV_FORMATS = {1: _PCM_8_KHZ, 3: _OTHER_LOSSLESS, 6: _G711, 7: _G711}


def preference(extension: str, head: bytes) -> tuple[int, int, int]:
    """A key to sort the files of one prompt name by: the file to be played comes first.

    Files are sorted by their kind, then by their sampling rate, the lowest first, as it is the nearest to the
    telephone's 8 kHz. Last, the order of extensions in this module decides. `head` has the first bytes of a WAV
    file; it is not used for other files.
    """
    place = _ORDER.index(extension)
    if extension in WAVE:
        kind, rate = _wav_preference(head)
        return kind, rate, place
    if extension in RAW:
        codec, rate, _ = RAW[extension]
        kinds = {"linear": _PCM_8_KHZ if rate == 8000 else _OTHER_LOSSLESS, "mulaw": _G711, "alaw": _G711}
        kind = kinds.get(codec, _OTHER_LOSSY)
        return kind, _UNKNOWN_RATE if kind == _OTHER_LOSSY else rate, place
    return (_OTHER_LOSSLESS if extension in _LOSSLESS else _OTHER_LOSSY), _UNKNOWN_RATE, place


def _wav_preference(head: bytes) -> tuple[int, int]:
    at = head.find(b"fmt ")
    if at < 0 or len(head) < at + 16:
        return _OTHER_LOSSY, _UNKNOWN_RATE
    code, rate = (
        int.from_bytes(head[at + 8 : at + 10], "little"),
        int.from_bytes(head[at + 12 : at + 16], "little"),
    )
    kind = _WAV_FORMATS.get(code, _OTHER_LOSSLESS if code == 0xFFFE else _OTHER_LOSSY)
    return (_OTHER_LOSSLESS if kind == _PCM_8_KHZ and rate != 8000 else kind), rate
