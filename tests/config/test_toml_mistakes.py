"""Mistakes of people who write TOML: one line says where, and how it is written instead."""

from pathlib import Path

import pytest

from mediaserver import config
from mediaserver.errors import ConfigError


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mistake(data: bytes | str) -> str:
    """The only problem of a file, without the file's name."""
    Path("c.toml").write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(ConfigError) as caught:
        config.load(Path("c.toml"))
    (problem,) = caught.value.problems
    return problem.removeprefix("c.toml: ")


@pytest.mark.parametrize(
    ("lines", "number", "hint"),
    [
        ("[paths./a]", 1, 'a path stands in quotes, as in [paths."/a"]'),
        ("[paths./]", 1, 'a path stands in quotes, as in [paths."/"]'),
        ("a = playback", 1, 'text stands in quotes, as in handler = "playback"'),
        ("a = /prompts", 1, 'text stands in quotes, as in handler = "playback"'),
        ("a = [\n 'x', env:TOKEN]", 2, 'text stands in quotes, as in handler = "playback"'),
        ("a = { b = playback }", 1, 'text stands in quotes, as in handler = "playback"'),
        ("a = True", 1, "write true or false, in small letters"),
        ("a = { b = yes }", 1, "write true or false, in small letters"),
        ("a = no", 1, "write true or false, in small letters"),
        ("a = yesterday", 1, 'text stands in quotes, as in handler = "playback"'),
        ("a =", 1, "there is no value"),
        ("a = # a comment", 1, "there is no value"),
        ("a = “x”", 1, "quotes are written \" or ', not “"),
        ("[paths.‘/a’]", 1, "quotes are written \" or ', not ‘"),
        ('a = "x\nb = 1', 1, "the closing quote is missing"),
        ('a = "C:\\prompts"', 1, "write \\\\ for each \\, or put the text in single quotes"),
        ('a = "C:\\users"', 1, "write \\\\ for each \\, or put the text in single quotes"),
        ('[paths."/{n:\\d+}"]', 1, "write \\\\ for each \\, or put the text in single quotes"),
        ("a = {\n  b = 1\n}", 1, "a table in braces ends on the line on which it begins"),
        ("a = { b = 1,  # first\n  c = 2 }", 1, "a table in braces ends on the line on which it begins"),
        ("a = { b = 1\n}", 1, "a table in braces ends on the line on which it begins"),
        ("a = { b = 1, }", 1, "no comma stands before }"),
        ("a = { b = 1 c = 2 }", 1, "a comma stands between two settings"),
        ('a = ["b" "c"]', 1, "a comma stands between two entries"),
        ("a = 1\nb = 2\na = 3", 3, "this key is set above as well"),
        ("a = 20s", 1, "a number has no unit"),
        ("a = -26 dB", 1, "a number has no unit"),
        ("a = 1 // one", 1, "a comment begins with #"),
        ("// one", 1, "a comment begins with #"),
        ("; one", 1, "a comment begins with #"),
    ],
)
def test_a_mistake_is_followed_by_how_it_is_written(lines: str, number: int, hint: str) -> None:
    told = mistake(f"# a comment\n{lines}\n")
    assert told.startswith("is not TOML: ")
    assert f"at line {number + 1}, column " in told
    assert told.endswith(f"): {hint}")


@pytest.mark.parametrize("lines", ["a b", "[a", "[[[a]]]", "a = .5", 'a = "x" "y"', 'a = """x'])
def test_no_hint_is_given_where_the_mistake_is_not_known(lines: str) -> None:
    assert mistake(lines).endswith((")", ")'"))


def test_a_table_that_is_there_twice_is_named_as_it_is_written() -> None:
    told = mistake('[paths."/a"]\n[paths."/b"]\n[paths."/a"]\n')
    assert told == 'is not TOML: Cannot declare [paths."/a"] twice (at line 3, column 12)'


def test_a_byte_order_mark_and_the_line_ends_of_windows_are_no_mistake() -> None:
    Path("c.toml").write_bytes(b"\xef\xbb\xbf[server]\r\nport = 7\r\n")
    settings, problems = config.load(Path("c.toml"))
    assert (settings.server.port, problems) == (7, [])


def test_a_file_in_another_encoding_is_told_with_the_line() -> None:
    text = '# a\n[paths."/a"]\nprompt = "Grüße"\n'
    assert mistake(text.encode("latin-1")) == "is not in UTF-8 (at line 3): save it as UTF-8"
    assert mistake(text.encode("utf-16")) == "is in UTF-16: save it as UTF-8"
