"""Ogg Vorbis files: finds how many samples a file has all of whose sound is on one page.

Sources: RFC 3533 (Ogg pages) and "Vorbis I specification", appendix A.2 (granule positions). The module takes
bytes, not files.
"""

from collections.abc import Callable

_HEADER_BYTES = 27  # bytes of a page's header before its table of segments
_LAST_PAGE = 4  # the bit of a page's flags that marks its stream's last page
_VORBIS = b"\x01vorbis"  # the first bytes of a Vorbis stream


def only_page_samples(read: Callable[[int, int], bytes], begin: int = 0) -> int | None:
    """The number of samples of each channel in an Ogg Vorbis file whose only page with sound is its last page.

    None for all other files. `read(at, count)` gives up to `count` bytes of the file from offset `at` on, and
    `begin` is the offset of the first page. The position on a page is the number of samples up to the page's end.
    Where the first page with sound is also the last, the sound begins at sample 0, and ends amid a Vorbis block.
    """
    at = begin
    while len(header := read(at, _HEADER_BYTES)) == _HEADER_BYTES and header.startswith(b"OggS"):
        body = at + _HEADER_BYTES + header[26]
        if at == begin and read(body, len(_VORBIS)) != _VORBIS:
            return None
        position = int.from_bytes(header[6:14], "little", signed=True)
        at = body + sum(read(at + _HEADER_BYTES, header[26]))
        # Pages of headers have the position 0, and a page on which no packet ends has -1.
        if position > 0:
            joined = read(at, 4) == b"OggS"  # another stream follows, or is interleaved with this one
            return position if header[5] & _LAST_PAGE and not joined else None
    return None
