"""WAV files made by hand, byte by byte: what each holds, and what is said about damaged ones."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.audio.containers import wav
from mediaserver.errors import PromptError

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # all of the GUID but the format code in front


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def riff(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(codec=PCM, channels=1, rate=8000, bits=16, extra=b""):
    align = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", codec, channels, rate, rate * align, align, bits) + extra)


def extensible(codec, bits, channels=1):
    subtype = struct.pack("<H", codec) + SUBTYPE_TAIL
    return fmt(EXTENSIBLE, channels, bits=bits, extra=struct.pack("<HHI", 22, bits, 0) + subtype)


def pcm16(*samples):
    return struct.pack(f"<{len(samples)}h", *samples)


SOUND = pcm16(1, -2, 3)
WHOLE = riff(fmt(), chunk(b"data", SOUND))


@pytest.mark.parametrize(
    ("codec", "bits", "data", "expected"),
    [
        (PCM, 8, bytes((0, 64, 128, 192, 255)), [-1, -0.5, 0, 0.5, 127 / 128]),
        (PCM, 16, pcm16(-32768, -16384, 0, 1, 32767), [-1, -0.5, 0, 1 / 32768, 32767 / 32768]),
        (PCM, 24, bytes.fromhex("000080 0000c0 000000 010000 ffff7f"), [-1, -0.5, 0, 2**-23, 1 - 2**-23]),
        (PCM, 32, struct.pack("<4i", -(2**31), -(2**30), 1, 2**31 - 1), [-1, -0.5, 2**-31, 1 - 2**-31]),
        (FLOAT, 32, struct.pack("<4f", -1, 0.5, 0, 1.25), [-1, 0.5, 0, 1.25]),
        (FLOAT, 64, struct.pack("<4d", -1, 0.1, 0, 1.25), [-1, 0.1, 0, 1.25]),
        (MULAW, 8, bytes((0x00, 0x80, 0xFF, 0x7F)), [-32124 / 32768, 32124 / 32768, 0, 0]),
        (ALAW, 8, bytes((0x2A, 0xAA, 0xD5, 0x55)), [-32256 / 32768, 32256 / 32768, 8 / 32768, -8 / 32768]),
    ],
    ids=["8", "16", "24", "32", "float32", "float64", "mulaw", "alaw"],
)
@pytest.mark.parametrize("header", ["plain", "extensible"])
def test_every_format_is_decoded_exactly(codec, bits, data, expected, header):
    file = wav.parse(
        riff(extensible(codec, bits) if header == "extensible" else fmt(codec, bits=bits), chunk(b"data", data))
    )
    assert (file.codec, file.channels, file.rate, file.bits, file.data) == (codec, 1, 8000, bits, data)
    assert file.signal().tolist() == expected


def test_native_sound_is_passed_on_bit_for_bit():
    file = wav.parse(WHOLE)
    assert file.native
    assert file.samples().tolist() == [1, -2, 3]


@pytest.mark.parametrize(
    "header",
    [fmt(rate=16000), fmt(channels=2), fmt(bits=8), fmt(MULAW, 2, bits=8), fmt(FLOAT, bits=32)],
    ids=["16 kHz", "stereo", "8-bit", "stereo mulaw", "float"],
)
def test_other_formats_are_not_native(header):
    assert not wav.parse(riff(header, chunk(b"data", bytes(8)))).native


def test_companded_samples_are_exact():
    assert wav.parse(riff(fmt(MULAW, bits=8), chunk(b"data", b"\x00\x80\xff"))).samples().tolist() == [
        -32124,
        32124,
        0,
    ]
    assert wav.parse(riff(fmt(ALAW, bits=8), chunk(b"data", b"\x2a\xd5"))).samples().tolist() == [-32256, 8]


def test_stereo_is_mixed_down_to_the_mean():
    file = wav.parse(riff(fmt(channels=2), chunk(b"data", pcm16(16384, 0, -32768, -32768, 8192, -8192))))
    assert file.signal().tolist() == [0.25, -1, 0]


def test_six_channels_are_mixed_down_too():
    file = wav.parse(riff(extensible(PCM, 8, channels=6), chunk(b"data", bytes((128 + 60, *[128] * 5)))))
    assert file.signal().tolist() == [10 / 128]


@pytest.mark.parametrize(
    "content",
    [
        riff(chunk(b"LIST", b"INFOISFT\x04\0\0\0abc\0"), fmt(), chunk(b"data", SOUND)),
        riff(fmt(), chunk(b"fact", bytes(4)), chunk(b"LIST", b"odd"), chunk(b"data", SOUND)),
        riff(fmt(extra=b"\0\0"), chunk(b"data", SOUND)),
        riff(fmt(), chunk(b"data", SOUND), chunk(b"LIST", b"INFO")),
        WHOLE[:4] + b"\0\0\0\0" + WHOLE[8:],
    ],
    ids=["LIST first", "odd chunk padded", "18-byte format", "LIST last", "RIFF size of 0"],
)
def test_chunks_around_the_sound_are_skipped(content):
    assert wav.parse(content).data == SOUND


def test_an_odd_data_chunk_does_not_include_its_padding():
    assert wav.parse(riff(fmt(bits=8), chunk(b"data", b"abc"))).data == b"abc"
    assert wav.parse(riff(fmt(bits=8), chunk(b"data", b"abc"))[:-1]).data == b"abc"  # many writers leave it out


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFF0000])
@pytest.mark.parametrize("begun", [b"", b"\x01"])
def test_a_streamed_file_holds_all_whole_samples_that_follow(size, begun):
    assert wav.parse(riff(fmt(), b"data" + struct.pack("<I", size) + SOUND + begun)).data == SOUND


def align(codec=PCM, channels=1, bits=16, block=2, rate=8000):
    return chunk(b"fmt ", struct.pack("<HHIIHH", codec, channels, rate, rate * block, block, bits))


def data(size, sound=SOUND):
    return b"data" + struct.pack("<I", size) + sound


def big_endian(*samples):
    body = b"WAVE" + b"fmt " + struct.pack(">IHHIIHH", 16, PCM, 1, 8000, 16000, 2, 16)
    body += b"data" + struct.pack(f">I{len(samples)}h", 2 * len(samples), *samples)
    return b"RIFX" + struct.pack(">I", len(body)) + body


def rf64(size):
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, size, 3, 0))
    return b"RF64\xff\xff\xff\xffWAVE" + sizes + fmt() + data(0xFFFFFFFF)


@pytest.mark.parametrize(
    ("content", "warnings"),
    [
        (riff(fmt(), data(0)), ["has 6 bytes of sound, though its header says 0: they are played"]),
        (
            riff(fmt(), data(0x7FFEFFFF)),
            ["is cut short: its header promises 2147418111 bytes of sound, 6 are there"],
        ),
        (riff(fmt(), data(14)), ["is cut short: its header promises 14 bytes of sound, 6 are there"]),
        (
            riff(fmt(), data(7, SOUND + b"\x01")),
            ["ends amid a sample, which is left out"],
        ),
        (riff(align(block=0), data(6)), ["has blocks of 0 bytes by its header, and of 2 in fact"]),
        (riff(align(block=4), data(6)), ["has blocks of 4 bytes by its header, and of 2 in fact"]),
        (riff(align(bits=12), data(6)), ["has samples of 12 bits by its header, which take 16 bits each"]),
        (
            riff(b"LIST\x05\0\0\0INFOx", fmt(), data(6)),
            ["has no pad byte after its LIST chunk"],
        ),
        (big_endian(1, -2, 3), []),
        (rf64(6), []),
    ],
    ids=[
        *("size 0", "2^31", "8 too many", "half a sample", "block align 0", "block align 4", "12 bits", "no pad"),
        *("RIFX", "RF64"),
    ],
)
def test_what_others_write_is_played_and_its_oddity_told(content, warnings):
    file = wav.parse(content)
    assert file.samples().tolist() == [1, -2, 3]
    assert file.warnings == tuple(warnings)


def test_the_size_of_a_file_beyond_4_gb_is_that_of_its_own_chunk():
    assert wav.parse(rf64(4)).samples().tolist() == [1, -2]


def test_a_single_sample_is_played_though_the_header_says_0():
    file = wav.parse(riff(fmt(), data(0, SOUND[:2])))
    assert (file.samples().tolist(), len(file.warnings)) == ([1], 1)


def test_companded_sound_that_claims_16_bits_has_8():
    file = wav.parse(riff(align(MULAW, bits=16, block=2), chunk(b"data", b"\x00\x80\xff")))
    assert file.samples().tolist() == [-32124, 32124, 0]
    assert file.warnings == (
        "has blocks of 2 bytes by its header, and of 1 in fact",
        "has samples of 16 bits by its header, which take 8 bits each",
    )


def test_24_bits_in_blocks_of_32_are_the_high_ones():
    content = riff(align(bits=24, block=4), chunk(b"data", struct.pack("<2i", -(2**31), 2**30)))
    assert wav.parse(content).signal().tolist() == [-1, 0.5]


def test_big_endian_samples_of_24_bits():
    body = b"WAVE" + b"fmt " + struct.pack(">IHHIIHH", 16, PCM, 1, 8000, 24000, 3, 24)
    body += b"data" + struct.pack(">I", 6) + bytes.fromhex("800000 400000")
    assert wav.parse(b"RIFX" + struct.pack(">I", len(body)) + body).signal().tolist() == [-1, 0.5]


@pytest.mark.parametrize("content", [riff(fmt(), chunk(b"data", b"")), riff(fmt(), b"data\xff\xff\xff\xff")])
def test_a_file_may_be_empty(content):
    assert wav.parse(content).data == b""


def test_an_empty_file_with_a_chunk_behind_its_data_is_empty():
    assert wav.parse(riff(fmt(), data(0, b""), chunk(b"LIST", b"INFO"))).data == b""


@pytest.mark.parametrize(
    ("header", "data", "description"),
    [
        (fmt(), bytes(2), "WAV 8000 Hz 16-bit mono"),
        (fmt(channels=2, rate=44100, bits=24), bytes(6), "WAV 44100 Hz 24-bit stereo"),
        (fmt(MULAW, bits=8), bytes(1), "WAV 8000 Hz µ-law 8-bit mono"),
        (fmt(ALAW, bits=8), bytes(1), "WAV 8000 Hz A-law 8-bit mono"),
        (fmt(FLOAT, channels=6, rate=48000, bits=32), bytes(24), "WAV 48000 Hz float 32-bit 6 channels"),
    ],
)
def test_the_description_is_for_people(header, data, description):
    assert wav.parse(riff(header, chunk(b"data", data))).description == description


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a WAV file: it does not begin with RIFF....WAVE"),
        (b"ID3\x04" + bytes(40), "is not a WAV file: it does not begin with RIFF....WAVE"),
        (b"RIFF\x04\0\0\0AVI ", "is not a WAV file: it does not begin with RIFF....WAVE"),
        (riff(), "is a damaged WAV file: it ends before its data"),
        (riff(fmt()), "is a damaged WAV file: it ends before its data"),
        (riff(fmt(), b"data\x04"), "is a damaged WAV file: it ends before its data"),
        (riff(chunk(b"data", SOUND), fmt()), "is a damaged WAV file: its data comes before its format"),
        (
            riff(chunk(b"fmt ", bytes(15)), chunk(b"data", SOUND)),
            "is a damaged WAV file: its format chunk is cut short",
        ),
        (
            riff(fmt(FLOAT, bits=16), chunk(b"data", SOUND)),
            "is a damaged WAV file: 1 channels of 16 bits at 8000 Hz in blocks of 2 bytes",
        ),
        (
            riff(fmt(channels=0), chunk(b"data", SOUND)),
            "is a damaged WAV file: 0 channels of 16 bits at 8000 Hz in blocks of 0 bytes",
        ),
        (
            riff(fmt(rate=0), chunk(b"data", SOUND)),
            "is a damaged WAV file: 1 channels of 16 bits at 0 Hz in blocks of 2 bytes",
        ),
    ],
)
def test_errors_name_the_damage(content, message):
    with pytest.raises(PromptError) as caught:
        wav.parse(content)
    assert str(caught.value) == message
    assert not isinstance(caught.value, wav.UnsupportedCodecError)


@pytest.mark.parametrize(
    ("header", "code"),
    [(fmt(0x0002, bits=4), "0x0002"), (fmt(0x0055), "0x0055"), (extensible(0x0161, 16), "0x0161")],
    ids=["ADPCM", "MP3", "WMA"],
)
def test_a_compressed_file_is_an_unsupported_codec(header, code):
    with pytest.raises(wav.UnsupportedCodecError, match=f"^is a WAV file of codec {code}$"):
        wav.parse(riff(header, chunk(b"data", bytes(8))))


@pytest.mark.parametrize("rest", [b"", b"\xff" * 14])
def test_an_extensible_header_names_its_codec_in_two_bytes(rest):
    header = fmt(EXTENSIBLE, bits=8, extra=struct.pack("<HHIH", 22, 8, 0, ALAW) + rest)
    assert wav.parse(riff(header, chunk(b"data", b"\x2a"))).codec == ALAW


@pytest.mark.parametrize(("rate", "right"), [(999, False), (1000, True), (768_000, True), (768_001, False)])
def test_rates_from_1_to_768_khz_are_right(rate, right):
    content = riff(fmt(rate=rate), chunk(b"data", SOUND))
    if right:
        assert wav.parse(content).rate == rate
    else:
        with pytest.raises(PromptError, match=f"1 channels of 16 bits at {rate} Hz in blocks of 2 bytes$"):
            wav.parse(content)


def test_an_extensible_header_without_its_format_code_is_no_codec_we_know():
    with pytest.raises(wav.UnsupportedCodecError, match="0xfffe"):
        wav.parse(riff(fmt(EXTENSIBLE), chunk(b"data", SOUND)))


def floats(*values):
    return wav.parse(riff(fmt(FLOAT, bits=32), chunk(b"data", struct.pack(f"<{len(values)}f", *values))))


@pytest.mark.parametrize(
    ("peak", "scale"), [(16.0, 1), (16.5, 2**15), (32768, 2**15), (40000, 2**31), (2**31, 2**31)]
)
def test_floats_far_beyond_full_scale_are_taken_for_integers(peak, scale):
    file = floats(0, -peak, 0.5)
    assert file.signal().tolist() == [0, -peak / scale, 0.5 / scale]
    taken = f"is a float file with values up to {peak:.0f}: they are taken for integers"
    assert file.warnings == ((taken,) if scale > 1 else ())


def test_floats_beyond_all_integers_are_no_sound():
    with pytest.raises(PromptError, match=r"its samples have values beyond any known scale$"):
        floats(2.0**31 * 1.01)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_silence_is_played_for_values_that_are_no_numbers(value):
    file = floats(0.25, value, 0.5)
    assert file.signal().tolist() == [0.25, 0, 0.5]
    assert file.warnings == (
        "holds samples that are not numbers (NaN or infinite): silence is played in their place",
    )


def test_a_compressed_file_tells_its_samples():
    content = riff(fmt(0x11, bits=4), chunk(b"fact", struct.pack("<I", 6800)), chunk(b"data", bytes(8)))
    with pytest.raises(wav.UnsupportedCodecError) as caught:
        wav.parse(content)
    assert caught.value.samples == 6800


def check_arbitrary(content):
    try:
        file = wav.parse(content)
    except PromptError:
        return
    assert file.description
    if file.codec != FLOAT:
        signal = file.signal()
        assert len(signal) == len(file.data) * 8 // (file.bits * file.channels)
        assert np.abs(signal).max(initial=0) <= 1


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_prompt_error(content):
    check_arbitrary(content)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_after_the_magic_raise_nothing_but_prompt_error(content):
    check_arbitrary(b"RIFF\xff\xff\xff\xffWAVE" + content)


@given(
    header=st.tuples(
        st.sampled_from([PCM, FLOAT, ALAW, MULAW, EXTENSIBLE]) | st.integers(0, 0xFFFF),
        st.integers(0, 3),
        st.integers(0, 0xFFFFFFFF) | st.just(8000),
        st.just(0),
        st.integers(0, 32),
        st.sampled_from([8, 16, 24, 32, 64]) | st.integers(0, 0xFFFF),
    ),
    extra=st.binary(max_size=26),
    size=st.integers(0, 60) | st.just(0xFFFFFFFF),
    data=st.binary(max_size=48),
)
def test_arbitrary_headers_raise_nothing_but_prompt_error(header, extra, size, data):
    format_chunk = chunk(b"fmt ", struct.pack("<HHIIHH", *header) + extra)
    check_arbitrary(riff(format_chunk, b"data" + struct.pack("<I", size) + data))


@given(at=st.integers(0, 57), byte=st.integers(0, 255), kept=st.integers(0, 58))
def test_one_wrong_byte_or_a_cut_raises_nothing_but_prompt_error(at, byte, kept):
    content = bytearray(riff(chunk(b"LIST", b"ab"), fmt(), chunk(b"data", bytes(4))))
    assert len(content) == 58
    content[at] = byte
    check_arbitrary(bytes(content[:kept]))
    check_arbitrary(bytes(content))


# What we write


@pytest.mark.parametrize(
    ("channels", "rates", "block"), [(1, "401f0000 803e0000", "0200"), (2, "401f0000 007d0000", "0400")]
)
def test_the_header_that_we_write_to_the_byte(channels, rates, block):
    expected = (
        b"RIFF\x64\x01\0\0WAVEfmt \x10\0\0\0\x01\0"
        + bytes((channels, 0))
        + bytes.fromhex(rates + block)
        + b"\x10\0"
    )
    assert wav.header(channels, 320) == expected + b"data\x40\x01\0\0"
    assert len(wav.header(channels, 320)) == 44


@pytest.mark.parametrize(
    ("size", "data"), [(2**32 - 45, 2**32 - 45), (2**32 - 44, 2**32 - 45), (2**40, 2**32 - 45)]
)
def test_a_header_states_at_most_what_a_file_can_hold(size, data):
    header = wav.header(1, size)
    assert struct.unpack("<I", header[4:8]) == (data + 36,)
    assert struct.unpack("<I", header[40:]) == (data,)


def test_a_stream_without_end_has_a_header_of_unknown_size_which_we_read_as_well():
    header = wav.header(2, None)
    assert (header[4:8], header[40:], len(header)) == (b"\xff" * 4, b"\xff" * 4, 44)
    parsed = wav.parse(header + bytes(range(64)))
    assert (parsed.channels, parsed.rate, parsed.data, parsed.warnings) == (2, 8000, bytes(range(64)), ())
