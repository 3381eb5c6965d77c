"""Identifies the kind of a file by its first bytes, whatever its name says: a sound format, or not sound.

Sources: RFC 9559 (Matroska), RFC 3533 (Ogg), RFC 9639 (FLAC), ISO/IEC 11172-3 and 13818-7 (MPEG audio, ADTS),
id3.org (ID3v2), RFC 4867 (AMR), and the formats' own specifications. The module takes bytes, not files.
"""

import codecs
from dataclasses import dataclass

HEAD_BYTES = 8192  # number of a file's first bytes that are enough to identify its kind


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file. `name` is what messages call it, and `is_sound` tells whether it is a sound format."""

    name: str
    is_sound: bool = True


WAV = FileKind("WAV")
_W64 = bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000")
_ASF = bytes.fromhex("3026b275 8e66cf11 a6d900aa 0062ce6c")
_SOUNDS = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b".snd": "AU",
    b"caff": "CAF",
    b"#!AMR": "AMR",
    b"\x1aE\xdf\xa3": "Matroska",
    b"wvpk": "WavPack",
    b"MAC ": "Monkey's Audio",
    b"TTA1": "TTA",
    b"Creative Voice File": "VOC",
    _W64: "Wave64",
    _ASF: "WMA",
}
_OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b\x08": "a gzip archive",
    b"MThd": "a MIDI file, which has notes and no sound,",
    b"\x7fELF": "a program",
}
_TEXT_BYTES = 512
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"
_FEWEST_LETTERS = 8  # the fewest different characters that a file must have to count as text
_SHORTEST_TEXT = 16  # the fewest bytes that a file must have to count as text

# Bit rates in kbit/s by MPEG version and layer, in the order of the header's codes. Version 2 stands for 2.5 as
# well. In version 2, layer 2 stands for layer 3 as well.
_BIT_RATES = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)


def id3_bytes(head: bytes) -> int:
    """The size of an ID3v2 tag at the beginning of a file; 0 where there is none."""
    if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) > 127:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)  # with this bit of its header, an ID3v2 tag has a footer


def identify(head: bytes) -> FileKind | None:
    """The kind of a file by its first `HEAD_BYTES` bytes; None if these do not tell, as with headerless sound."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return FileKind("AIFF")
    if head[4:8] == b"ftyp":
        return FileKind("MP4")
    for kinds, is_sound in ((_SOUNDS, True), (_OTHERS, False)):
        for magic, name in kinds.items():
            if head.startswith(magic):
                return FileKind(name, is_sound)
    return _identify_mpeg(head) or _identify_text(head)


def _identify_mpeg(head: bytes) -> FileKind | None:
    """Identify MPEG audio by two frames in sequence: headerless sound may look like one frame by chance."""
    name, size = _mpeg_frame(head)
    if size and _mpeg_frame(head[size:])[0] == name:
        return FileKind(name)
    return None


def _mpeg_frame(head: bytes) -> tuple[str, int]:
    """The kind and the size in bytes of the MPEG or ADTS frame that begins `head`; ("", 0) if there is none."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return "", 0
    version, layer = {0: 2, 2: 2, 3: 1}.get(head[1] >> 3 & 3, 0), 4 - (head[1] >> 1 & 3)
    if layer == 4:  # the header's layer code 0 is no MPEG layer, but marks AAC in ADTS frames
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return ("AAC", size) if head[1] & 0xF6 == 0xF0 and size > 7 else ("", 0)
    bit_rate, rate = head[2] >> 4, head[2] >> 2 & 3
    if not version or bit_rate in (0, 15) or rate == 3:
        return "", 0
    kbits = _BIT_RATES[version, layer if version == 1 or layer == 1 else 2][bit_rate]
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[head[1] >> 3 & 3]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return "MPEG layer I", (12 * kbits * 1000 // hertz + padding) * 4
    samples = 576 if layer == 3 and version == 2 else 1152
    return "MP3" if layer == 3 else "MPEG layer II", samples // 8 * kbits * 1000 // hertz + padding


def _identify_text(head: bytes) -> FileKind | None:
    text = head[:_TEXT_BYTES]
    if len(text) < _SHORTEST_TEXT or len(text.translate(None, _CONTROLS)) < len(text):
        return None
    try:
        words = codecs.getincrementaldecoder("utf-8-sig")().decode(text).lstrip().lower()
    except UnicodeDecodeError:
        return None
    for beginning, name in (
        ("<!doctype html", "an HTML page"),
        ("<html", "an HTML page"),
        ("<", "an XML document"),
        ("{", "JSON"),
        ("[{", "JSON"),
        ("version https://git-lfs", "a pointer of Git LFS (git lfs pull fetches the file itself)"),
    ):
        if words.startswith(beginning):
            return FileKind(name, is_sound=False)
    # Quiet A-law sound has printable bytes too, but fewer different ones than text has, and no blanks.
    is_text = len(set(words)) >= _FEWEST_LETTERS and len(words.split()) > 1
    return FileKind("text", is_sound=False) if is_text else None
