"""The names by which sound files are known, which of two of one name is played, and how long a file may be.

Sources: Asterisk's file formats (formats/format_*.c and codecs' file names), and the containers that FFmpeg reads.
"""

from typing import NamedTuple


class RawFormat(NamedTuple):
    """A headerless format: the extension alone says what its bytes are."""

    codec: str  # "linear" (16-bit little-endian), "mulaw", "alaw", "vox", or a demuxer of FFmpeg
    rate: int = 8000  # Hz
    code_bits: int = 0  # of G.726


RAW = {
    **{f".{name}": RawFormat("linear") for name in ("pcm", "raw", "sln", "sln8", "slin")},
    **{f".sln{kilohertz}": RawFormat("linear", kilohertz * 1000) for kilohertz in (12, 16, 24, 32, 48, 96, 192)},
    ".sln44": RawFormat("linear", 44_100),
    **{f".{name}": RawFormat("mulaw") for name in ("ulaw", "ul", "mulaw", "mu", "ulw")},
    **{f".{name}": RawFormat("alaw") for name in ("alaw", "al", "alw")},
    ".g722": RawFormat("g722", 16_000),
    # Asterisk packs the codes as RFC 3551 does, the first one into the lowest bits.
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
# Sound files that Asterisk or a computer plays, and nothing here decodes.
UNDECODABLE = {".g723", ".g723sf", ".ilbc", ".lpc10", ".mid", ".midi", ".ra", ".rm", ".siren7", ".siren14"}
LONGEST = 7200.0  # seconds of sound in one file, the default of the setting `prompts.longest`

# Of several files with one name, the first kind is played: 8 kHz PCM, G.711, other lossless kinds, lossy ones.
_PCM_8_KHZ, _G711, _OTHER_LOSSLESS, _OTHER_LOSSY = range(4)
_ORDER = (*sorted(WAVE), *RAW, *_LOSSLESS, *_LOSSY)
_UNKNOWN_RATE = 1 << 32
_WAV_FORMATS = {1: _PCM_8_KHZ, 3: _OTHER_LOSSLESS, 6: _G711, 7: _G711}  # by the format code of a WAV file


def preference(extension: str, head: bytes) -> tuple[int, int, int]:
    """A key to sort files of one name by, the best first; `head` is the beginning of a WAV file, else not used.

    Of one kind, the lowest sampling rate that is known is the nearest to the telephone's; then the order of the
    tables above decides.
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
