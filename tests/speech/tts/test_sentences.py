"""Sentence segmentation, also of text that still streams in, and the removal of Markdown."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.speech.text.markdown import strip_markdown
from mediaserver.speech.tts.sentences import MAX_CHARACTERS, SentenceSplitter, split_sentences

CASES = {
    "Hello there. How are you? I am fine!": ["Hello there.", "How are you?", "I am fine!"],
    "Dr. Smith is here. He waits.": ["Dr. Smith is here.", "He waits."],
    "It costs 3.5 euros, e.g. Monday. See https://a.example/b.html. Then go!": [
        *("It costs 3.5 euros, e.g. Monday.", "See https://a.example/b.html.", "Then go!")
    ],
    "Wait... what? Now we know… Really?! Yes.": ["Wait... what?", "Now we know…", "Really?! Yes."],
    'He said: "Stop it now!" and left. "I will not." So she stayed.': [
        *('He said: "Stop it now!" and left.', '"I will not."', "So she stayed.")
    ],
    "Apples, pears, etc. are here. Apples, pears, etc. They are good.": [
        *("Apples, pears, etc. are here.", "Apples, pears, etc.", "They are good.")
    ],
    "It is three p.m. today. It is three p.m. Please come.": [
        *("It is three p.m. today.", "It is three p.m.", "Please come.")
    ],
    "The U.S. Army came. J. R. Smith saw. It was I. Then": [
        *("The U.S. Army came.", "J. R. Smith saw.", "It was I. Then")
    ],
    "Room No. 5 is free. Is it there? No. Then": ["Room No. 5 is free.", "Is it there?", "No. Then"],
    "Your code is A. B, one two. Please hold.": ["Your code is A. B, one two.", "Please hold."],
    "You are number 3. Please hold.": ["You are number 3.", "Please hold."],
    "Yes. I can help you. Bye.": ["Yes. I can help you.", "Bye."],
    "1. Open the door. 2. Go in now.": ["1. Open the door.", "2. Go in now."],
    "今日は良い天気です。「行きましょう！」ええ？はい。": [
        "今日は良い天気です。",
        "「行きましょう！」",
        "ええ？はい。",
    ],
    "First line\nSecond line\n- bullet\nwrapped\nin the middle": [
        *("First line", "Second line", "- bullet wrapped in the middle")
    ],
    "**Bold end.** Next one here.": ["**Bold end.**", "Next one here."],
    " \n ": [],
    "...": ["..."],
}


@pytest.mark.parametrize("text", CASES)
def test_a_text_is_split_into_sentences(text: str) -> None:
    assert split_sentences(text) == CASES[text]


def test_a_number_with_a_dot_ends_no_sentence_where_ordinals_have_dots() -> None:
    assert split_sentences("Am Montag, 23. November. Bis dann.", "de-AT") == [
        "Am Montag, 23. November.",
        "Bis dann.",
    ]


def test_a_long_sentence_is_split_at_a_clause_or_a_word_or_anywhere() -> None:
    assert split_sentences("one two, three four five", max_characters=12) == ["one two,", "three four", "five"]
    # A sentence does not end before a small letter.
    assert split_sentences("Who is it? said he", max_characters=10) == ["Who is", "it? said", "he"]
    assert split_sentences("x" * 25, max_characters=12) == ["x" * 12, "x" * 12, "x"]


def test_a_sentence_is_given_as_soon_as_it_is_certain() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("Hello there.") == []  # may become "there.com"
    assert splitter.feed(" ") == ["Hello there."]
    assert splitter.feed("I have seen Dr. ") == []
    assert splitter.feed("Smith go! ") == []  # may become: "go!" he said
    assert splitter.feed("W") == ["I have seen Dr. Smith go!"]
    assert splitter.flush() == ["W"]
    assert splitter.flush() == []


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Yes, we are open on Sunday, from ten, to four. Yes, we are open on Monday, too.", [
            "Yes, we are open on Sunday,", "from ten, to four.", "Yes, we are open on Monday, too."]),
        ("We are open. On Sunday it is only from ten, to four.", [
            "We are open.", "On Sunday it is only from ten, to four."]),
        ("It costs 1,000,000 euros: it is a lot. Bye.", ["It costs 1,000,000 euros:", "it is a lot."]),
        ("Look at [our page, which is good](https://a.example), or call.", [
            "Look at [our page, which is good](https://a.example),", "or call."]),
        ("今日はとても良い天気です、明日は雨。はい。", ["今日はとても良い天気です、", "明日は雨。"]),
    ],
)  # fmt: skip
def test_the_first_clause_is_given_by_itself_with_early_first(text: str, pieces: list[str]) -> None:
    splitter = SentenceSplitter(early_first=True)
    assert (splitter.feed(text) + splitter.flush())[: len(pieces)] == pieces
    splitter = SentenceSplitter(early_first=True)
    first = next(at for at in range(len(text)) if splitter.feed(text[at]))
    assert first <= len(pieces[0]) + 1  # as soon as the space after it is there, or the next letter


TEXT = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from([*"aB1. ?!…\n\"')“。」,-*", " ", "Dr.", " e.g.", "3.5", "word ", "No.", "p.m."]),
        max_size=60,
    ).map("".join),
)


@given(TEXT, st.lists(st.integers(0, 300), max_size=20), st.integers(8, 40), st.booleans())
def test_pieces_make_no_difference_and_no_text_is_lost_or_doubled(
    text: str, cuts: list[int], max_characters: int, early_first: bool
) -> None:
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    splitter, whole = (SentenceSplitter(max_characters=max_characters, early_first=early_first) for _ in range(2))
    sentences = [sentence for start, end in pairwise(edges) for sentence in splitter.feed(text[start:end])]
    sentences += splitter.flush()
    assert sentences == whole.feed(text) + whole.flush()
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(0 < len(sentence) <= max_characters for sentence in sentences)


@given(TEXT)
def test_a_text_fed_by_characters_is_split_like_a_whole_one(text: str) -> None:
    splitter = SentenceSplitter(max_characters=MAX_CHARACTERS)
    sentences = [sentence for character in text for sentence in splitter.feed(character)]
    assert sentences + splitter.flush() == split_sentences(text)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("## A title", "A title"),
        ("- **Bold** and *it*, _so_ __so__ ~~no~~", "Bold and it, so so no"),
        ("> * [ ] a task", "a task"),
        ("1. item", "1. item"),
        ("3 * 4 - 2 is C# in snake_case_name, #1", "3 * 4 - 2 is C# in snake_case_name, #1"),
        ('See [the *page*](https://a.example/x_y "t") and ![a cat](cat.png).', "See the page and a cat."),
        ("<https://a.example>", "https://a.example"),
        ("Run `make`.", "Run make."),
        ("```python", ""),
        ("---", ""),
        ("**Done.**", "Done."),
    ],
)
def test_markdown_is_removed(written: str, spoken: str) -> None:
    assert strip_markdown(written) == spoken


@given(TEXT)
def test_text_without_markdown_is_printable(text: str) -> None:
    assert strip_markdown(text).isprintable()
