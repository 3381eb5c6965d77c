"""Text normalisation: values in words, in several languages."""

import contextlib
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import CONVERTER_CLASSES

from mediaserver.speech.text.formats import (
    FORMATS,
    MAX_VALUE_CHARACTERS,
    normalise_value,
    preload_format,
    to_printable,
    validate_format,
)
from tests.project import ROOT

CASES = [
    ("number", "1234", "en", "one thousand two hundred thirty-four"),
    ("number", "1234", "en-GB", "one thousand two hundred and thirty-four"),
    ("number", "-3.05", "en", "minus three point zero five"),
    ("number", "0", "en", "zero"),
    (
        "number",
        "0.1234567890123",
        "en",
        "zero point one two three four five six seven eight nine zero one two three",
    ),
    (
        "number",
        "1234.05",
        "it",
        "milleduecentotrentaquattro virgola zero cinque",
    ),  # num2words leaves the decimals out
    ("number", "-42", "pl", "minus czterdzieści dwa"),  # num2words raises
    ("number", "-42", "fr", "moins quarante-deux"),
    ("number", "3.05", "ru", "три целых ноль пять"),
    ("number", "1234.5", "zh", "1234.5"),
    ("number", "21", "eng", "twenty-one"),
    ("number", "80", "fr-CH", "huitante"),
    ("number", "-1", "kn", "ಮೈನಸ್ ಒಂದು"),  # num2words: "(-)"
    ("number", "-1", "te", "మైనస్ ఒకటి"),
    ("number", "-1", "vi", "âm một"),
    ("number", "0.5", "ar", "صفر فاصلة خمسة"),
    ("number", "0.5", "id", "nol koma lima"),
    ("number", "1234", "pt-BR", "mil duzentos e trinta e quatro"),
    ("number", "42", "am", "42"),
    ("number", "21000", "es", "veintiún mil"),
    ("number", "131001", "es-MX", "ciento treinta y un mil uno"),
    ("number", "21000021", "es", "veintiún millones veintiuno"),
    ("ordinal", "80", "fr", "quatre-vingtième"),
    ("ordinal", "81", "fr-CA", "quatre-vingt-unième"),
    ("number", "21000", "sv", "tjugoettusen"),
    ("ordinal", "20", "sv", "tjugonde"),
    ("ordinal", "21", "sv", "tjugoförsta"),
    ("number", "21", "sr-Latn-RS", "dvadeset jedan"),
    ("number", "21", "nb-NO", "tjueen"),
    ("ordinal", "21", "en", "twenty-first"),
    ("ordinal", "101", "en", "one hundred first"),
    ("ordinal", "3", "de", "dritte"),
    ("year", "1905", "en", "nineteen oh-five"),
    ("year", "2005", "en", "two thousand five"),
    ("year", "1999", "de", "neunzehnhundertneunundneunzig"),
    ("year", "1999", "pt-BR", "mil novecentos e noventa e nove"),
    ("year", "2024", "ja", "二千二十四年"),  # not the sixth year of an era
    ("year", "500", "ja", "五百年"),  # before all eras
    ("currency", "42.50", "en", "forty-two dollars and fifty cents"),
    ("currency", "42.50", "en-GB", "forty-two pounds and fifty pence"),
    ("currency", "42.00", "en", "forty-two dollars"),
    ("currency", "1", "en", "one dollar"),
    ("currency", "1.01 GBP", "en", "one pound and one penny"),
    ("currency", "€0.05", "en", "five cents"),
    ("currency", "0", "en", "zero dollars"),
    ("currency", "-0.00", "en", "zero dollars"),
    ("currency", "-42.50 eur", "en", "minus forty-two euros and fifty cents"),
    ("currency", "$-3", "en", "minus three dollars"),
    ("currency", "42.499999999", "en", "forty-two dollars and fifty cents"),
    ("currency", "0.125", "en", "thirteen cents"),  # half a cent is rounded up, also after an even number
    ("currency", "0.135", "en", "fourteen cents"),
    ("currency", "-0.125 EUR", "en", "minus thirteen cents"),
    ("currency", "2.5 JPY", "en", "two point five Japanese yen"),  # not three yen
    ("currency", "2.50 JPY", "zh", "2.5日元"),
    ("currency", "2.00 JPY", "en", "two yen"),
    ("currency", "0.50 HUF", "en", "zero point five zero Hungarian forints"),  # CLDR would round it to one forint
    ("currency", "1234.56 COP", "zh", "1234.56哥伦比亚比索"),
    ("currency", "0.50 RSD", "fr", "zéro virgule cinq zéro dinar serbe"),
    ("currency", "1.234 IQD", "en", "one point two three four Iraqi dinars"),
    ("currency", "2 GBP", "th", "สอง ปอนด์สเตอร์ลิง สหราชอาณาจักร"),  # CLDR has brackets in it
    (
        "currency",
        "123456789012345678",
        "nl",
        "honderddrieëntwintig biljard vierhonderdzesenvijftig biljoen zevenhonderdnegenentachtig miljard twaalf "
        "miljoen driehonderdvijfenveertigduizendzeshonderdachtenzeventig euro",
    ),
    ("currency", "0.004", "en", "zero dollars"),
    ("currency", "1234.01 DKK", "en", "one thousand two hundred thirty-four point zero one Danish kroner"),
    ("currency", "1.5 KWD", "en", "one point five zero zero Kuwaiti dinars"),
    ("currency", "42.5", "de", "zweiundvierzig Euro und fünfzig Cent"),
    ("currency", "-1", "it", "meno un euro"),
    ("currency", "1.5 KWD", "es", "uno punto cinco cero cero dinares kuwaitíes"),  # num2words: fifty fils
    ("currency", "42.5 USD", "zh", "42.50美元"),
    ("date", "2026-11-23", "en", "Monday, November twenty-third, twenty twenty-six"),
    ("date", "2026-11-23", "en-GB", "Monday the twenty-third of November, twenty twenty-six"),
    ("date", "2026-11-23T15:30:00Z", "de", "Montag, 23. November 2026"),
    ("date", "2026-11-23", "fr", "lundi 23 novembre 2026"),
    ("time", "15:30", "en", "three thirty p.m."),
    ("time", "9:05", "en", "nine oh five a.m."),
    ("time", "00:30", "en", "twelve thirty a.m."),
    ("time", "15:00:59", "en", "three p.m."),
    ("time", "12:00", "en", "noon"),
    ("time", "00:00", "en", "midnight"),
    ("time", "15:30", "de", "fünfzehn Uhr dreißig"),
    ("time", "01:00", "de", "ein Uhr"),
    ("time", "15:30", "fr", "15:30"),
    ("datetime", "2026-11-23T09:00", "en", "Monday, November twenty-third, twenty twenty-six at nine a.m."),
    ("duration", "125", "en", "two minutes and five seconds"),
    ("duration", "2:05", "en", "two minutes and five seconds"),
    ("duration", "PT1H1S", "en", "one hour and one second"),
    ("duration", "1:02:05", "en", "one hour, two minutes, and five seconds"),
    ("duration", "P1DT2H", "en", "one day and two hours"),
    ("duration", "0", "en", "zero seconds"),
    ("duration", "59.6", "en", "one minute"),
    ("duration", "125", "de", "2 Minuten und 5 Sekunden"),
    ("duration", "125", "zh", "2分钟和5秒钟"),  # Babel has "2 duration-minute"
    ("digits", "4711", "en", "four seven one one"),
    ("digits", "4711", "de", "vier sieben eins eins"),
    ("digits", "47-11 08", "en", "four seven, one one, zero eight"),
    ("digits", "AB-12*#", "en", "A. B, one two star pound"),
    ("digits", "1#", "en-GB", "one hash"),
    ("digits", "٤٢", "en", "four two"),
    ("phone", "+15551234567", "en", "plus one, five five five, one two three, four five six seven"),
    ("phone", "+49 30 12345", "en", "plus four nine, three zero, one two three four five"),
    ("phone", "5551234", "en", "five five five, one two three four"),
    ("phone", "112", "en", "one one two"),
    ("spell", "Ab_1@x.de", "en", "A. B underscore one at X dot D E"),
    ("", " Jo\x00\tSmith\n", "en", "Jo  Smith"),
]


@pytest.mark.parametrize(("kind", "value", "language", "words"), CASES)
def test_a_value_is_spoken_as_a_person_would_say_it(kind: str, value: str, language: str, words: str) -> None:
    assert normalise_value(value, kind, "", language) == words


WITH_WORDS = sorted(set(CONVERTER_CLASSES) - {"am"})
UNSPEAKABLE = re.compile(r"[^\w\s'’‌-]|[0-9_]|(?<!\w)-|-(?!\w)|^\s|\s$|\s\s")  # but for marks of vowels, see below


def unspeakable(words: str) -> list[str]:
    """What a voice cannot speak in words: signs and digits. Vowel signs of Indic scripts and Thai are no signs."""
    return [sign for sign in UNSPEAKABLE.findall(words) if unicodedata.category(sign[0])[0] != "M"]


@pytest.mark.parametrize("code", WITH_WORDS)
def test_numbers_and_years_have_nothing_unspeakable_in_any_language(code: str) -> None:
    tag = code.replace("_", "-")
    values = [("number", value) for value in ("-1", "-42", "-1001.05", "0.5", "-0.125", "1234567", "1905")]
    values += [("year", value) for value in ("800", "1905", "1999", "2000", "2005", "2024")]
    for kind, value in values:
        assert unspeakable(normalise_value(value, kind, "", tag)) == [], (kind, value)
    for value in ("1", "2", "21", "100"):  # some languages have no ordinals
        with contextlib.suppress(ValueError):
            assert unspeakable(normalise_value(value, "ordinal", "", tag)) == [], value


@pytest.mark.parametrize("code", [code for code in WITH_WORDS if code not in ("kz", "tet")])
@pytest.mark.parametrize("currency", ["JPY", "HUF", "EUR", "GBP", "KWD"])  # with 0, 0 in cash, 2 and 3 decimals
def test_amounts_are_exact_and_have_nothing_unspeakable_in_any_language(code: str, currency: str) -> None:
    """No two amounts sound alike. A comma is between units and hundredths only, where a pause is meant."""
    amounts = ["0", "0.05", "0.50", "0.51", "1", "1.5", "2", "1234.56", "1235", "-1235", "-0.50"]
    words = [normalise_value(f"{amount} {currency}", "currency", "", code.replace("_", "-")) for amount in amounts]
    assert len(set(words)) == len(amounts), words
    for each in words:
        assert unspeakable(each.replace(", ", " ", 1)) == []


@pytest.mark.parametrize("tag", ["zh", "el", "am"])
def test_amounts_in_digits_are_exact(tag: str) -> None:
    for currency in ("JPY", "HUF", "COP", "RSD", "EUR"):
        digits = re.sub("[^0-9]", "", normalise_value(f"1234.56 {currency}", "currency", "", tag))
        assert digits == "123456", currency


def test_an_argument_is_the_default_currency_or_the_size_of_groups() -> None:
    assert normalise_value("2", "currency", "EUR", "en") == "two euros"
    assert normalise_value("$2", "currency", "EUR", "en") == "two dollars"
    assert normalise_value("12 345", "digits", "2", "en") == "one two, three four, five"


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("number", "1,234", "write it as -1234.5"),
        ("number", "1" * 19, "at most 18 digits"),
        ("ordinal", "-1", "write it as 21"),
        ("currency", "abc", "write it as 42.50"),
        ("currency", "$5 EUR", "write it as 42.50"),
        ("currency", "5 XQX", '"XQX" is no currency'),
        ("date", "2026-02-30", "write it as 2026-11-23"),
        ("date", "15:30", "write it as 2026-11-23"),
        ("time", "25:00", "write it as 15:30"),
        ("duration", "P1M", "write it as seconds"),
        ("digits", "--", "nothing in it to be spoken"),
        ("spell", "", "nothing in it to be spoken"),
        ("digits", "1" * 101, "longer than 100 characters"),
        ("", "x" * (MAX_VALUE_CHARACTERS + 1), "longer than 1000 characters"),
    ],
)
def test_a_value_that_does_not_fit_its_format_is_refused(kind: str, value: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        normalise_value(value, kind, "", "en")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tag", ["xx", "", "../en", "en us", "english"])
def test_an_unknown_language_is_refused_with_a_list_of_languages(tag: str) -> None:
    with pytest.raises(ValueError, match=r"is not known.*de, en, en-IN"):
        normalise_value("1", "number", "", tag)


def test_a_format_that_a_language_lacks_is_refused_at_preload() -> None:
    with pytest.raises(ValueError, match="zh has no words for numbers"):
        preload_format("ordinal", "", "zh")


@pytest.mark.parametrize(
    ("kind", "argument", "says"),
    [
        ("curency", "", r'no format "curency" \(did you mean "currency"\?\)'),
        ("currency", "EURO", '"EURO" is no currency'),
        ("digits", "0", "1 to 9"),
        ("time", "x", "takes nothing after it"),
    ],
)
def test_unknown_formats_and_wrong_arguments_are_refused(kind: str, argument: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        validate_format(kind, argument)


def test_the_documented_table_has_every_format_and_its_words() -> None:
    page = (ROOT / "docs/flow-builders/speech.md").read_text()
    section = page.partition("### What is said\n")[2].partition("\n#")[0]
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\| `.*", section, re.MULTILINE)]
    assert {re.split("[`:]", formats)[1] for formats, _, _ in rows} == set(FORMATS)
    for formats, values, words in rows:
        kind, _, argument = formats.split("`")[-2].partition(":")
        for value in re.findall("`(.*?)`", values):
            spoken = normalise_value(value, kind, argument, "en")
            assert words.startswith((spoken, "both")), value


LANGUAGES = ["en", "en-GB", "de", "fr", "es", "pl", "ar", "ja", "zh", "vi", "he", "ko"]
VALUES = st.one_of(
    st.text(max_size=30),
    st.text("0123456789.:-+$€EURPTHMS ", max_size=12),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.integers(-(10**17), 10**17).map(str),
    st.decimals(-(10**9), 10**9, places=3).map(str),
)


@given(VALUES, st.sampled_from(sorted(FORMATS)), st.sampled_from(LANGUAGES))
def test_any_value_becomes_printable_words_or_a_printable_error(value: str, kind: str, language: str) -> None:
    try:
        words = normalise_value(value, kind, "", language)
    except ValueError as error:
        words = str(error)
    assert words
    assert words.isprintable()


@given(st.text())
def test_text_made_printable_keeps_its_length(text: str) -> None:
    assert to_printable(text).isprintable()
    assert len(to_printable(text)) == len(text)


@pytest.mark.parametrize(
    ("kind", "value", "sounds"),
    [
        ("digits", "A4711", "ˈA fˈɔɹ sˈɛvən wˈʌn wˈʌn"),  # the letter, not the article
        ("time", "9:00", "nˈIn ˌAˈɛm"),
        ("time", "15:30", "θɹˈi θˈɜɹTi pˌiˈɛm"),
        ("number", "1234", "wˈʌn θˈWzᵊnd tˈu hˈʌndɹəd θˈɜɹTifˌɔɹ"),
        ("currency", "42.50", "fˈɔɹTitˌu dˈɑləɹz ænd fˈɪfti sˈɛnts"),
    ],
)
def test_an_engine_pronounces_the_words_as_meant(kind: str, value: str, sounds: str) -> None:
    hibari = pytest.importorskip("hibari")
    assert " ".join(hibari.Hibari().phonemize(normalise_value(value, kind, "", "en"))) == sounds
