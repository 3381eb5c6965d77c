"""Templates: texts with variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.speech.text.template import Template


def test_placeholders_are_replaced_by_values_in_their_formats() -> None:
    template = Template.parse("Hello {name}, {{you}} owe {amount:currency:EUR} by {due:date}.\n{name}!")
    assert template.names == ("name", "amount", "due")
    assert template.render({"name": "Jo", "amount": "42.50", "due": "2026-11-23"}, "en") == (
        "Hello Jo, {you} owe forty-two euros and fifty cents "
        "by Monday, November twenty-third, twenty twenty-six.\nJo!"
    )


def test_braces_in_a_value_have_no_meaning() -> None:
    assert Template.parse("{a}").render({"a": "{b} {{c}} {a:number}"}, "en") == "{b} {{c}} {a:number}"


def test_control_characters_become_spaces_and_a_templates_own_newlines_stay() -> None:
    assert Template.parse("One\x07\r\ntwo {a}\n").render({"a": "x\ny\x1b[0m"}, "en") == "One \ntwo x y [0m\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{amount:curency}", r'\{amount\}: there is no format "curency" \(did you mean "currency"\?\)'),
        ("{amount", "braces do not match"),
        ("amount}", "braces do not match"),
        ("{}", r"\{\} is no name"),
        ("{a b}", r"\{a b\} is no name"),
        ("{a!r}", "is no name"),
        ("{a[0]}", "is no name"),
        ("{a:{b}}", "no format"),
        ("{a::x}", "takes nothing"),
    ],
)
def test_a_mistake_in_a_template_is_known_before_any_call(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Template.parse(text)


def test_all_missing_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"^no value for \{a\}, \{c\}$"):
        Template.parse("{a} {b} {c} {a}").render({"b": ""}, "en")


def test_an_unusable_value_is_named_by_its_variable_and_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"^\{amount\} cannot be spoken as currency: write it as 42") as error:
        Template.parse("{amount:currency}").render({"amount": "secret"}, "en")
    assert "secret" not in str(error.value)


def test_a_language_is_checked_before_any_call() -> None:
    Template.parse("{a:ordinal} {b:date} {c} {d:currency:JPY}").preload_language("en-GB")
    with pytest.raises(ValueError, match="is not known"):
        Template.parse("hello").preload_language("xx")
    with pytest.raises(ValueError, match=r"\{a\}: no ordinal in the language zh"):
        Template.parse("{a:ordinal}").preload_language("zh")


@given(st.text(), st.dictionaries(st.sampled_from("abc"), st.text()))
def test_any_template_is_rendered_or_refused_in_printable_text(text: str, variables: dict[str, str]) -> None:
    try:
        spoken = Template.parse(text + "{a}").render(variables, "en")
    except ValueError as error:
        spoken = str(error)
    assert spoken.replace("\n", "").isprintable()


@given(st.text())
def test_a_text_without_placeholders_stays_as_it_is(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    kept = Template.parse(escaped).render({}, "en")
    if text.isprintable():
        assert kept == text
