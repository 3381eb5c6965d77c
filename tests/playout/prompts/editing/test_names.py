"""Names of prompts and kinds of files, as requests give them."""

import pytest

from mediaserver.audio.containers import wav
from mediaserver.errors import RefusedError
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts.editing import names


@pytest.mark.parametrize(
    ("text", "name", "extension"),
    [
        ("music/hold.wav", "music/hold", ".wav"),
        ("hold.WAV", "hold", ".wav"),
        ("hold.g726-32", "hold", ".g726-32"),
        ("welcome.de", "welcome.de", ""),
        ("welcome.de.mp3", "welcome.de", ".mp3"),
        ("v1.5/intro", "v1.5/intro", ""),
        ("a.wav/b", "a.wav/b", ""),
    ],
)
def test_an_extension_counts_where_sound_files_have_it(text: str, name: str, extension: str) -> None:
    assert names.split_extension(text) == (name, extension)


@pytest.mark.parametrize(
    "name", ["a", "music/hold", "de-AT/a b", "grüße", "a.b/c", "x" * 200, "50 %", "a/" + "x" * 196]
)
def test_a_name_may_be_any_that_the_scan_finds(name: str) -> None:
    assert names.validate_name(name) == name


def test_a_name_is_normalised_as_the_scan_does() -> None:
    assert names.validate_name("gru\u0308n") == "gr\u00fcn"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../x",
        "a/../x",
        ".a",
        "a/.b",
        "a\0",
        "a\n",
        "\udc80",
        "é" * 101,
        "a/" + "x" * 197,
        "a/" * 89 + "a",  # its history's folder would have a name of 357 bytes
        "a.wav",
    ],
)
def test_a_name_that_no_prompt_may_have_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="no prompt may have this name: ") as refused:
        names.validate_name(name)
    assert refused.value.status == 400


def test_the_first_bytes_of_sound_decide_its_extension() -> None:
    assert names.extension_of_sound(wav.header(1, 0)) == ".wav"
    assert names.extension_of_sound(b"fLaC") == ".flac"
    assert names.extension_of_sound(b"ID3\4\0\0\0\0\x10\0" + bytes(8182)) == ".mp3"
    for head in (b"", b"\xff" * 8192, b"wvpk"):
        with pytest.raises(RefusedError, match=r"name it, as in \?type=ulaw") as refused:
            names.extension_of_sound(head)
        assert refused.value.status == 422
    with pytest.raises(RefusedError, match="the file is JSON, not sound"):
        names.extension_of_sound(b'{"error": "quota exceeded"}')


def test_every_extension_that_is_given_can_be_decoded() -> None:
    assert set(names._EXTENSIONS.values()) <= EXTENSIONS
